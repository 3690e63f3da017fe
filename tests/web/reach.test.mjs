import assert from "node:assert/strict";
import { test } from "node:test";

import { hitTest, reachOf } from "../../web/editor/controller/hit.mjs";
import { StageController } from "../../web/editor/controller/stagecontrol.mjs";
import { timelineHit, frameToX, RULER } from "../../web/editor/controller/timelinehit.mjs";
import { Store } from "../../web/editor/model/store.mjs";
import { fit, fitAll, toCss } from "../../web/editor/model/viewport.mjs";
import { written } from "../../web/editor/formats/writing.mjs";
import * as edits from "../../web/editor/controller/edits.mjs";
import { documentOf, press, track, VIEW } from "./support.mjs";

function stored(doc = documentOf(), state = {}) {
  const commits = [];
  const store = new Store((next, brief) => commits.push(brief));
  store.load(doc, { tool: "select", snap: false, ...state });
  return { store, commits };
}

test("in a graph that is shown small the targets are as large on the screen as ever", () => {
  assert.equal(reachOf(press(0, 0)), 8);
  assert.equal(reachOf(press(0, 0, { zoom: 2 })), 8);
  assert.equal(reachOf(press(0, 0, { zoom: 0.25 })), 32);
  assert.equal(reachOf(press(0, 0, { zoom: 1e-9 })), 40);
  const { store } = stored();
  const at = press(144 + 28, 240, { zoom: 0.25 });
  assert.equal(hitTest(store.state, VIEW, at.css, reachOf(at))?.kind, "point");
  assert.equal(hitTest(store.state, VIEW, at.css, reachOf(press(0, 0)))?.kind, undefined);
  const strip = { width: 400, height: 100, scroll: 0 };
  const near = { x: frameToX(store.state, strip, 48) - 20, y: RULER + 10 };
  assert.equal(timelineHit(store.state, strip, near)?.part, "bar");
  assert.equal(timelineHit(store.state, strip, near, 4)?.part, "end");
});

test("a hand that trembles by two pixels of a small graph clicks", () => {
  const { store, commits } = stored();
  const controller = new StageController(store, () => VIEW);
  const zoom = 0.25;
  controller.down(press(144, 240, { zoom }));
  controller.move(press(152, 240, { zoom }));
  controller.up(press(152, 240, { zoom }));
  assert.deepEqual(commits, []);
});

test("fitting shows the points off the frame, and the frame alone where there are none", () => {
  const canvas = { width: 600, height: 400 };
  assert.equal(fitAll(documentOf(), canvas), null);
  const points = [
    { x: -0.5, y: 0.2 },
    { x: 0.5, y: 1.5 },
  ];
  const doc = documentOf({ tracks: [track({ points })] });
  const view = fitAll(doc, canvas);
  for (const { x, y } of [...points, { x: 0, y: 0 }, { x: 1, y: 1 }]) {
    const css = toCss(view, { x: x * doc.width, y: y * doc.height });
    assert.ok(css.x > 0 && css.x < 600 && css.y > 0 && css.y < 400, JSON.stringify(css));
  }
  assert.ok(view.scale < fit(doc, canvas).scale);
});

test("another entity ends the track that is being drawn; the same one does not", () => {
  const { store } = stored(documentOf(), { entity: "e1", drawing: "t1" });
  edits.chooseEntity(store, "e1");
  assert.equal(store.state.drawing, "t1");
  edits.newEntity(store, "dog");
  assert.deepEqual([store.state.drawing, store.state.entity], [null, "e2"]);
  store.set({ drawing: "t1" });
  edits.chooseEntity(store, null);
  assert.equal(store.state.drawing, null);
});

test("only presses of arrows are brief", () => {
  const { store, commits } = stored();
  edits.selectAll(store);
  edits.nudge(store, { x: 1, y: 0 });
  edits.reverse(store);
  assert.deepEqual(commits, [true, false]);
});

test("any value can be written, nested however deeply", () => {
  const value = { a: [1, "ü\n", null, true, {}, []], 'b"': -0.5 };
  assert.deepEqual(JSON.parse(written(value)), value);
  let deep = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  assert.equal(written(deep), "[".repeat(100_000) + "1" + "]".repeat(100_000));
});
