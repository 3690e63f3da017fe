/** What the second generation of the editor adds, without a page. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { TimelineController } from "../../web/editor/controller/timelinecontrol.mjs";
import { frameToX } from "../../web/editor/controller/timelinehit.mjs";
import { StageController } from "../../web/editor/controller/stagecontrol.mjs";
import * as edits from "../../web/editor/controller/edits.mjs";
import { pointGrips } from "../../web/editor/controller/grips.mjs";
import { EXPORTS } from "../../web/editor/formats/exporting.mjs";
import { readBytes, readText } from "../../web/editor/formats/foreign.mjs";
import { GERMAN } from "../../web/editor/labels/german.mjs";
import { JAPANESE } from "../../web/editor/labels/japanese.mjs";
import { STRINGS, translator } from "../../web/editor/labels/strings.mjs";
import { filmed, moveCamera, removeCameraKey, setCamera } from "../../web/editor/model/camera.mjs";
import { parse } from "../../web/editor/model/document.mjs";
import { ease, handlesOf, turned } from "../../web/editor/model/easing.mjs";
import { placeEntity, placeTrack } from "../../web/editor/model/entities.mjs";
import { DocumentError } from "../../web/editor/model/fields.mjs";
import { grouped, rigid } from "../../web/editor/model/groups.mjs";
import { EMPTY, readLibrary, united, written } from "../../web/editor/model/library.mjs";
import { sampleTrack, visibleAt } from "../../web/editor/model/sampling.mjs";
import { heightOf, heightsIn } from "../../web/editor/model/sizes.mjs";
import { allPoints, wholeTracks } from "../../web/editor/model/selection.mjs";
import { cellsOf, connected, inverted, parts, spread } from "../../web/editor/model/spreading.mjs";
import { Store } from "../../web/editor/model/store.mjs";
import { reversed, slid, timed, timingOf, withHidden } from "../../web/editor/model/timing.mjs";
import { portraitsOf } from "../../web/upstream.mjs";
import { documentOf, press, track, VIEW } from "./support.mjs";

/** @param {object} doc @param {object} [state] */
function open(doc, state = {}) {
  const commits = [];
  const store = new Store((value) => commits.push(value));
  store.load(parse({ ...doc, version: 2 }), { tool: "select", ...state });
  return { store, commits };
}

test("every language says every word, with the same gaps; others are answered in English", () => {
  const gaps = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const words of [GERMAN, JAPANESE]) {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(STRINGS).sort());
    for (const [key, text] of Object.entries(words)) {
      assert.deepEqual(gaps(text), gaps(STRINGS[key][0]), key);
    }
  }
  assert.equal(translator("de-AT")("play"), "Abspielen");
  assert.equal(translator("fr")("play"), "Play");
});

test("a bar that fills the clip is trimmed by dragging it; another is shifted", () => {
  const whole = track({ start: 0, end: 48 });
  assert.deepEqual([slid(whole, 8, 49).start, slid(whole, 8, 49).end], [8, 48]);
  assert.deepEqual([slid(whole, -8, 49).start, slid(whole, -8, 49).end], [0, 40]);
  const part = slid(track({ start: 4, end: 20 }), 8, 49);
  assert.deepEqual([part.start, part.end], [12, 28]);
  const { store, commits } = open(documentOf());
  const strip = { width: 720, height: 200, scroll: 0 };
  const timeline = new TimelineController(store, () => strip);
  const at = (frame) => press(frameToX(store.state, strip, frame), 30);
  timeline.down(at(20));
  timeline.move(at(28));
  timeline.up(at(28));
  assert.deepEqual([store.state.doc.tracks[0].start, commits.length], [8, 1]);
  timeline.down({ ...at(30), alt: true });
  timeline.move({ ...at(34), alt: true });
  timeline.up({ ...at(34), alt: true });
  assert.deepEqual(store.state.doc.tracks[0].hidden, [[30, 34]]);
  assert.equal(commits[1].version, 2);
});

test("stretches are hidden, joined and shown again", () => {
  let one = withHidden(track(), 10, 12, true);
  one = withHidden(one, 13, 20, true);
  assert.deepEqual(one.hidden, [[10, 20]]);
  one = withHidden(one, 18, 14, false);
  assert.deepEqual(one.hidden, [
    [10, 13],
    [19, 20],
  ]);
  assert.equal(visibleAt(one, 15), true);
  assert.equal(visibleAt(one, 20), false);
  assert.deepEqual(reversed(one).hidden, [
    [28, 29],
    [35, 38],
  ]);
});

test("a timing is copied without the place", () => {
  const from = track({ start: 8, end: 20, easing: "in", before: "wait" });
  const to = timed(track({ id: "t2", points: [{ x: 0, y: 0 }] }), timingOf(from), 49);
  assert.deepEqual([to.start, to.end, to.easing, to.before], [8, 20, "in", "wait"]);
  assert.deepEqual(to.points, [{ x: 0, y: 0 }]);
  const { store } = open(documentOf({ tracks: [from, track({ id: "t2" })] }));
  store.set({ selection: wholeTracks(store.state.doc, ["t1"]) });
  edits.copyTiming(store);
  store.set({ selection: wholeTracks(store.state.doc, ["t2"]) });
  edits.pasteTiming(store);
  assert.deepEqual(timingOf(store.state.doc.tracks[1]), timingOf(store.state.doc.tracks[0]));
});

test("curves of easing are near the ones with names, and turn in time", () => {
  for (const name of ["linear", "in", "out", "in-out"]) {
    for (let u = 0; u <= 1; u += 0.05) {
      assert.ok(Math.abs(ease(handlesOf(name), u) - ease(name, u)) < 0.05, `${name} ${u}`);
    }
  }
  const curve = [0.6, 0.05, 0.2, 0.95];
  for (let u = 0; u <= 1; u += 0.1) {
    assert.ok(Math.abs(ease(turned(curve), u) - (1 - ease(curve, 1 - u))) < 1e-9);
  }
});

test("rows are put before, after and with another entity", () => {
  const entities = ["a", "b", "c"].map((id) => ({ id, name: id, color: "#000000" }));
  const tracks = ["t1", "t2", "t3"].map((id, i) => track({ id, entity: entities[i].id }));
  const doc = parse(documentOf({ entities, tracks }));
  const order = (d) => d.entities.map(({ id }) => id).join("");
  assert.equal(order(placeEntity(doc, "a", "c", true)), "bca");
  assert.equal(order(placeEntity(doc, "c", "a", false)), "cab");
  const moved = placeTrack(doc, "t3", "a", "t1", false);
  assert.deepEqual(
    moved.tracks.map(({ id, entity }) => id + entity),
    ["t3a", "t1a", "t2b"],
  );
  assert.equal(placeTrack(doc, "t1", null, null, true).tracks[2].entity, null);
});

test("points are spread in a thing, apart, and go as its track goes", () => {
  const size = { width: 720, height: 480 };
  const round = (x, y) => (at) => Math.hypot((at.x - x) * 720, (at.y - y) * 480) < 80;
  const both = cellsOf(size, (at) => round(0.25, 0.5)(at) || round(0.75, 0.5)(at));
  assert.equal(parts(both).length, 2);
  const left = connected(both, { x: 0.25, y: 0.5 });
  const places = spread(left, 5);
  assert.equal(places.length, 5);
  assert.ok(places.every(round(0.25, 0.5)));
  for (const a of places) {
    for (const b of places) {
      if (a !== b) assert.ok(Math.hypot((a.x - b.x) * 720, (a.y - b.y) * 480) > 40);
    }
  }
  assert.ok(spread(inverted(both), 12).every((at) => !round(0.25, 0.5)(at)));
  const doc = parse(documentOf());
  const { doc: next, ids } = rigid(doc, places, doc.tracks[0], "e1");
  assert.equal(ids.length, 6);
  const [leader, ...rest] = next.tracks.map((one) => sampleTrack(one, next));
  for (const one of rest) {
    for (const f of [0, 20, 48]) {
      const off = (s, axis) => s[axis][f] - s[axis][0];
      assert.ok(Math.abs(off(one, "x") - off(leader, "x")) < 0.01);
      assert.ok(Math.abs(off(one, "y") - off(leader, "y")) < 0.01);
    }
  }
  const chosen = grouped(next, new Map([["t1", new Set([1])]]));
  assert.equal(chosen.size, 6);
});

test("a point that is put into one of a group is put into all; the group comes apart", () => {
  const doc = parse(documentOf());
  const { doc: next } = rigid(doc, [{ x: 0.3, y: 0.6 }], doc.tracks[0], "e1");
  const { store } = open(next);
  store.set({ selection: new Map([["t1", new Set([0])]]) });
  assert.equal(store.state.selection.size, 2);
  edits.remove(store);
  assert.deepEqual(
    store.state.doc.tracks.map(({ points }) => points.length),
    [2, 2],
  );
  store.set({ selection: new Map([["t1", new Set([0])]]) });
  edits.ungroup(store);
  assert.ok(store.state.doc.tracks.every(({ group }) => group === undefined));
  assert.equal(store.state.doc.version, 1);
});

test("the spread tool sets points where it clicks, and in the thing that is masked there", () => {
  const { store, commits } = open(documentOf({ tracks: [] }), { tool: "spread", spread: 3 });
  const stage = new StageController(store, () => VIEW);
  stage.masks = () => cellsOf({ width: 720, height: 480 }, ({ x }) => x < 0.2);
  stage.down(press(40, 240));
  stage.up(press(40, 240));
  assert.equal(store.state.doc.tracks.length, 3);
  assert.ok(store.state.doc.tracks.every(({ points }) => points[0].x < 0.2));
  edits.anchorOutside(store, stage.masks());
  const anchors = store.state.doc.tracks.slice(3);
  assert.equal(anchors.length, 12);
  assert.ok(anchors.every(({ points, entity }) => points[0].x > 0.2 && entity === null));
  assert.equal(commits.length, 2);
});

test("handles begin where the spline runs, bend it, and mirror each other", () => {
  const { store } = open(documentOf());
  const before = sampleTrack(store.state.doc.tracks[0], store.state.doc);
  store.set({ selection: new Map([["t1", new Set([1])]]) });
  edits.toggleHandles(store);
  const after = sampleTrack(store.state.doc.tracks[0], store.state.doc);
  assert.ok(Math.abs(before.x[20] - after.x[20]) < 0.01);
  const grip = pointGrips(store.state, VIEW).find(({ kind }) => kind === "leave");
  const stage = new StageController(store, () => VIEW);
  stage.down(press(grip.css.x, grip.css.y));
  stage.move(press(grip.from.x + 60, grip.from.y + 80));
  stage.up(press(grip.from.x + 60, grip.from.y + 80));
  const { arrive, leave } = store.state.doc.tracks[0].points[1];
  assert.ok(Math.abs(leave[0] * 720 - 60) < 0.01 && Math.abs(leave[1] * 480 - 80) < 0.01);
  assert.ok(Math.abs((arrive[0] * 720) / (arrive[1] * 480) - 60 / 80) < 1e-3);
  assert.ok(arrive[0] < 0);
  edits.toggleHandles(store);
  assert.equal(store.state.doc.version, 1);
});

test("a size is dragged at its corner, and bounded", () => {
  const { store } = open(documentOf(), { sizes: true });
  store.set({ selection: new Map([["t1", new Set([1])]]) });
  const [grip] = pointGrips(store.state, VIEW);
  assert.equal(grip.kind, "size");
  const stage = new StageController(store, () => VIEW);
  stage.down(press(grip.css.x, grip.css.y));
  stage.move(
    press(
      grip.from.x + 2 * (grip.css.x - grip.from.x),
      grip.from.y + 2 * (grip.css.y - grip.from.y),
    ),
  );
  stage.up(press(0, 0));
  assert.equal(store.state.doc.tracks[0].points[1].scale, 2);
  edits.resize(store, 1e9);
  assert.equal(store.state.doc.tracks[0].points[1].scale, 100);
  edits.resize(store, null);
  assert.equal("scale" in store.state.doc.tracks[0].points[1], false);
});

test("a camera is set in keys and moves what stands still", () => {
  let doc = parse(documentOf({ tracks: [track({ points: [{ x: 0.75, y: 0.5 }] })] }));
  doc = moveCamera(doc, "zoomIn");
  assert.equal(filmed(doc.tracks[0], doc).x[48], 360 + 180 * 1.5);
  doc = setCamera(doc, 24, { zoom: 1, x: 0.25 });
  assert.equal(filmed(doc.tracks[0], doc).x[24], 360);
  for (const frame of [0, 24, 48]) doc = removeCameraKey(doc, frame);
  assert.equal(doc.camera, undefined);
});

test("what is kept is read strictly, and the later of one name wins", () => {
  const easing = [0.1, 0.2, 0.3, 0.4];
  const kept = {
    easings: [{ name: "bump", easing }],
    templates: [{ name: "hop", document: parse(documentOf()) }],
  };
  assert.deepEqual(readLibrary(JSON.parse(JSON.stringify(written(kept)))), kept);
  const other = { ...EMPTY, easings: [{ name: "bump", easing: [0, 0, 1, 1] }] };
  assert.deepEqual(united(kept, other).easings, other.easings);
  for (const junk of [
    {},
    { tora2_library: 2 },
    { tora2_library: 1, easings: [{ name: "a", easing: [0, 0, 2, 1] }] },
    { tora2_library: 1, templates: [{ name: "a", document: 3 }] },
    { tora2_library: 1, more: 1 },
  ]) {
    assert.throws(() => readLibrary(junk), DocumentError);
  }
});

test("pictures of entities are found in the graph by their words", () => {
  const picture = { widgets: [{ name: "image", value: "cat.png" }], inputs: [] };
  const encode = {
    widgets: [{ name: "word", value: "Cat" }],
    inputs: [{ name: "images", type: "IMAGE" }],
    getInputNode: () => picture,
  };
  const node = { graph: { nodes: [encode, picture] } };
  assert.deepEqual(
    portraitsOf(node, ({ filename }) => filename),
    { cat: "cat.png" },
  );
});

const canvas = { width: 720, height: 480, frames: 49 };

test("SVG is written as it is drawn, and read back", () => {
  const doc = parse(
    documentOf({
      version: 2,
      tracks: [
        track({ tension: 0.3 }),
        track({ id: "t2", curve: "linear", name: "a <b>" }),
        track({
          id: "t3",
          points: [
            { x: 0.1, y: 0.9, leave: [0.2, -0.4] },
            { x: 0.9, y: 0.9 },
          ],
        }),
      ],
    }),
  );
  const [{ text }] = EXPORTS.exportSvg(doc);
  assert.ok(text.includes("a &#60;b&#62;"));
  const { doc: back, own } = readText(text, canvas);
  assert.ok(own);
  doc.tracks.forEach((one, n) => {
    const [a, b] = [sampleTrack(one, doc), sampleTrack(back.tracks[n], back)];
    for (let f = 0; f < 49; f++) assert.ok(Math.hypot(a.x[f] - b.x[f], a.y[f] - b.y[f]) < 0.05);
  });
  for (const [junk, words] of [
    ["<svg></svg>", "expected one"],
    ['<svg><path d="M0 0 A 1 1 0 0 0 3 3"/></svg>', "the command 'A'"],
    ['<svg><path d="L0 0"/></svg>', "expected M"],
    ['<svg><path transform="scale(2)" d="M0 0L1 1"/></svg>', "transform"],
  ]) {
    assert.throws(
      () => readText(junk, canvas),
      (error) => error.message.includes(words),
    );
  }
});

test("Spline Path Control's scenes are read, bare and behind their picture", async () => {
  const scene = JSON.stringify({
    splines: [
      {
        points: [
          { x: 0, y: 0 },
          { x: 500, y: 281 },
        ],
        startFrame: 4,
        totalFrames: 20,
        hideOnComplete: false,
      },
    ],
    staticShapes: [{ pos: { x: 100, y: 281 } }],
    originalImageDimensions: { width: 1000, height: 562 },
  });
  const { doc } = readText(scene, canvas);
  assert.deepEqual([doc.frames, doc.tracks[0].start, doc.tracks[0].end], [81, 4, 23]);
  assert.equal(doc.tracks[0].after, "wait");
  assert.deepEqual(doc.tracks[1].points, [{ x: 0.1, y: 0.5 }]);
  const behind = new TextEncoder().encode(`PNG and so on SPLINEDATA::${scene}`);
  assert.deepEqual((await readBytes(behind.buffer, canvas)).doc, doc);
});

test("size 1 is the height of the cut-out that takes the path, as when things are placed", () => {
  const entities = ["cat", "Dog", "sun"].map((name, i) => ({
    id: `e${i}`,
    name,
    color: "#e4572e",
  }));
  const path = { curve: "linear", points: [{ x: 0, y: 0 }], start: 8, end: 16, easing: "linear" };
  const doc = documentOf({
    entities,
    tracks: ["e1", "e0", null].map((entity, i) => ({ ...path, id: `t${i}`, entity })),
  });
  const [a, b, c] = [0.1, 0.2, 0.3].map((start) => ({ start, end: 2 * start }));
  const cutOuts = [
    { name: "", heights: a },
    { name: "dog", heights: b },
    { name: "sun", heights: c },
    { name: "", heights: null },
  ];
  const heights = heightsIn(doc, cutOuts);
  assert.deepEqual(Object.fromEntries(heights), { e0: a, e1: b });
  const at = (/** @type {number} */ i, /** @type {number} */ frame) =>
    heightOf({ doc, heights }, doc.tracks[i], frame) / doc.height;
  assert.deepEqual(
    [at(0, 0), at(0, 12), at(0, 40)].map((high) => Math.round(high * 100) / 100),
    [0.2, 0.3, 0.4],
  );
  assert.equal(at(2, 12), 0.5); // as a new cut-out
});
