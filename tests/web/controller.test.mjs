import assert from "node:assert/strict";
import { test } from "node:test";

import * as edits from "../../web/editor/controller/edits.mjs";
import { comboOf, handleKey, KEYS } from "../../web/editor/controller/keyboard.mjs";
import { StageController } from "../../web/editor/controller/stagecontrol.mjs";
import { Store } from "../../web/editor/model/store.mjs";
import { documentOf, press, track, VIEW } from "./support.mjs";

function setup(doc = documentOf(), state = {}) {
  const commits = [];
  const store = new Store((next) => commits.push(next));
  store.load(doc, { tool: "select", snap: false, ...state });
  let time = 0;
  const controller = new StageController(
    store,
    () => VIEW,
    () => (time += 1000),
  );
  const drag = (from, to, fields) => {
    controller.down(press(...from, fields));
    controller.move(press(...to, fields));
    controller.up(press(...to, fields));
  };
  const click = (x, y, fields) => drag([x, y], [x, y], fields);
  return { store, controller, commits, drag, click, soon: () => (time -= 990) };
}
const pixels = (store, n = 0) =>
  store.state.doc.tracks[n].points.map(({ x, y }) => [Math.round(x * 720), Math.round(y * 480)]);

test("dragging a point moves it once, as one commit", () => {
  const { store, commits, drag } = setup();
  drag([360, 96], [380, 140]);
  assert.deepEqual(pixels(store), [
    [144, 240],
    [380, 140],
    [576, 240],
  ]);
  assert.equal(commits.length, 1);
  assert.equal(commits[0], store.state.doc);
});

test("a click selects and commits nothing; shift adds and takes away", () => {
  const { store, commits, click } = setup();
  click(144, 240);
  click(576, 240, { shift: true });
  assert.deepEqual([...store.state.selection.get("t1")], [0, 2]);
  click(144, 240, { shift: true });
  assert.deepEqual([...store.state.selection.get("t1")], [2]);
  assert.equal(commits.length, 0);
});

test("dragging the path moves the whole track", () => {
  const doc = documentOf({ tracks: [track({ curve: "linear" })] });
  const { store, drag } = setup(doc);
  drag([252, 168], [262, 178]);
  assert.deepEqual(pixels(store), [
    [154, 250],
    [370, 106],
    [586, 250],
  ]);
});

test("a double click on the path inserts a point", () => {
  const { store, click, soon, commits } = setup(
    documentOf({ tracks: [track({ curve: "linear" })] }),
  );
  click(252, 168);
  soon();
  click(252, 168);
  assert.deepEqual(pixels(store)[1], [252, 168]);
  assert.equal(commits.length, 1);
});

test("an escape in the middle of a drag gives everything back", () => {
  const { store, controller, commits } = setup();
  controller.down(press(360, 96));
  controller.move(press(500, 300));
  controller.cancel();
  assert.deepEqual(store.state.doc, documentOf());
  assert.equal(commits.length, 0);
});

test("a marquee selects what it spans", () => {
  const { store, drag } = setup();
  drag([300, 50], [600, 300]);
  assert.deepEqual([...store.state.selection.get("t1")], [1, 2]);
  assert.equal(store.state.marquee, null);
});

test("the points tool draws, extends and finishes a track", () => {
  const { store, commits, click, soon } = setup(documentOf({ tracks: [] }), {
    tool: "points",
    entity: "e1",
  });
  click(100, 100);
  click(200, 100);
  click(300, 200);
  soon();
  click(300, 200);
  assert.equal(store.state.drawing, null);
  assert.deepEqual(pixels(store), [
    [100, 100],
    [200, 100],
    [300, 200],
  ]);
  assert.equal(store.state.doc.tracks[0].entity, "e1");
  assert.equal(commits.length, 3);
});

test("freehand keeps the bends and drops the rest", () => {
  const { store, controller, commits } = setup(documentOf({ tracks: [] }), { tool: "freehand" });
  controller.down(press(100, 100));
  for (let x = 101; x <= 200; x++) controller.move(press(x, 100));
  for (let y = 101; y <= 200; y++) controller.move(press(200, y));
  controller.up(press(200, 200));
  assert.deepEqual(pixels(store), [
    [100, 100],
    [200, 100],
    [200, 200],
  ]);
  assert.equal(commits.length, 1);
});

test("an anchor is one point, and shift keeps a drag to one axis", () => {
  const { store, click, drag } = setup(documentOf({ tracks: [] }), { tool: "anchor" });
  click(50, 60);
  store.set({ tool: "select" });
  drag([50, 60], [90, 70], { shift: true });
  assert.deepEqual(pixels(store), [[90, 60]]);
});

test("snapping takes hold of guides and grid", () => {
  const { store, drag } = setup(documentOf(), { snap: true });
  drag([144, 240], [357, 400]);
  assert.equal(pixels(store)[0][0], 360);
  assert.deepEqual(store.state.guides, null);
  store.set({ grid: 12 });
  drag([360, 400], [370, 300]);
  assert.deepEqual(pixels(store)[0], [360, 300]);
});

test("the box scales from the opposite corner, and turns about its middle", () => {
  const { store, controller } = setup(
    documentOf({
      tracks: [
        track({
          points: [
            { x: 0.25, y: 0.25 },
            { x: 0.5, y: 0.5 },
          ],
        }),
      ],
    }),
  );
  edits.selectAll(store);
  controller.down(press(372, 252));
  controller.move(press(372 + 204, 252));
  controller.up(press(372 + 204, 252));
  const [a, b] = pixels(store);
  assert.ok(Math.abs(b[0] - a[0] - 360) < 1, "twice as wide");
  assert.ok(Math.abs(b[1] - a[1] - 120) < 1, "as high as before");
});

test("locked, hidden and read-only tracks cannot be taken", () => {
  for (const state of [
    { locked: new Set(["t1"]) },
    { locked: new Set(["free"]) },
    { hidden: new Set(["t1"]) },
    { solo: "entity:e1" },
    { readOnly: true },
  ]) {
    const { store, commits, drag } = setup(documentOf(), state);
    drag([360, 96], [380, 140]);
    edits.selectAll(store);
    edits.remove(store);
    assert.deepEqual(store.state.doc, documentOf());
    assert.equal(commits.length, 0);
  }
});

test("hovering a path tells its frame", () => {
  const { store, controller } = setup(
    documentOf({
      tracks: [
        track({
          curve: "linear",
          points: [
            { x: 0, y: 0.5 },
            { x: 1, y: 0.5 },
          ],
        }),
      ],
    }),
  );
  controller.move(press(360, 242));
  assert.equal(store.state.hover.track, "t1");
  assert.ok(Math.abs(store.state.hover.frame - 24) < 1e-6);
  controller.leave();
  assert.equal(store.state.hover, null);
});

test("a wheel keeps the place under the pointer", () => {
  const { store, controller } = setup();
  controller.zoom({ x: 100, y: 50 }, 2);
  assert.deepEqual(store.state.viewport, { scale: 2, x: -100, y: -50 });
});

test("commands: duplicate, nudge, keys, trim, simplify, cycle", () => {
  const { store } = setup();
  edits.selectAll(store);
  edits.nudge(store, { x: 72, y: 0 });
  assert.equal(store.state.doc.tracks[0].points[0].x, 0.3);
  edits.duplicate(store);
  assert.deepEqual([...store.state.selection.keys()], ["t2"]);
  store.set({ frame: 12, selection: new Map([["t1", new Set([1])]]) });
  edits.toggleKey(store);
  assert.equal(store.state.doc.tracks[0].points[1].frame, 12);
  edits.trim(store, "start");
  assert.equal(store.state.doc.tracks[0].start, 12);
  assert.equal(store.state.doc.tracks[0].points[1].frame, 21);
  edits.toggleKey(store);
  assert.equal(store.state.doc.tracks[0].points[1].frame, undefined);
  edits.cyclePoint(store, 1);
  assert.deepEqual([...store.state.selection], [["t1", new Set([2])]]);
  edits.cyclePoint(store, 1);
  assert.deepEqual([...store.state.selection], [["t2", new Set([0])]]);
  edits.finish(store);
  assert.equal(store.state.selection.size, 0);
});

test("keys: one meaning each, and signs do not mind shift", () => {
  const keys = KEYS.flatMap((entry) => entry.keys);
  assert.equal(new Set(keys).size, keys.length);
  const event = (key, held = {}) => ({
    key,
    ctrlKey: false,
    metaKey: false,
    shiftKey: false,
    altKey: false,
    ...held,
  });
  assert.equal(comboOf(event("?", { shiftKey: true })), "?");
  assert.equal(comboOf(event("N", { shiftKey: true })), "Shift+N");
  assert.equal(comboOf(event("a", { metaKey: true })), "Ctrl+A");
  const { store } = setup();
  assert.equal(handleKey({ store }, event("a", { ctrlKey: true })), true);
  assert.equal(store.state.selection.get("t1").size, 3);
  assert.equal(handleKey({ store }, event("z", { ctrlKey: true })), false, "undo is the host's");
});

test("what was locked after it was selected stays where it is", () => {
  const doc = documentOf({ tracks: [track(), track({ id: "t2" })] });
  const { store } = setup(doc);
  edits.selectAll(store);
  edits.toggleFlag(store, "t1", "locked");
  edits.nudge(store, { x: 72, y: 0 });
  edits.transformSelection(store, { scaleX: -1 });
  edits.shiftTime(store, -1);
  assert.deepEqual(store.state.doc.tracks[0], doc.tracks[0]);
  assert.notDeepEqual(store.state.doc.tracks[1], doc.tracks[1]);
  edits.remove(store);
  assert.deepEqual(store.state.doc.tracks, [doc.tracks[0]]);
});

test("a track can be drawn with keys alone", () => {
  const { store, commits } = setup(documentOf({ tracks: [] }), { entity: "e1" });
  const key = (name) => handleKey({ store }, { key: name, shiftKey: false });
  key("Insert");
  assert.equal(store.state.doc.tracks[0].entity, "e1");
  key("Insert");
  key("ArrowRight");
  key("ArrowDown");
  key("Insert");
  const before = pixels(store);
  assert.equal(before.length, 3);
  assert.ok(before[1][0] > before[0][0] + 40 && before[1][1] === before[0][1] + 1);
  store.set({ selection: new Map([["t1", new Set([0])]]) });
  key("Insert");
  const [a, between, b] = pixels(store);
  assert.ok(between[0] > a[0] && between[0] < b[0], "halfway to the next");
  assert.equal(commits.length, 6);
  store.set({ selection: new Map(), readOnly: true });
  key("Insert");
  assert.equal(commits.length, 6);
});

test("a hover tells of locked tracks too, but not of hidden ones", () => {
  const { store, controller } = setup();
  store.set({ locked: new Set(["entity:e1", "t1", "free"]) });
  controller.move(press(144, 240));
  assert.equal(store.state.hover?.track, "t1");
  store.set({ hidden: new Set(["t1"]) });
  controller.move(press(144, 241));
  assert.equal(store.state.hover, null);
});
