import assert from "node:assert/strict";
import { test } from "node:test";

import { TimelineController } from "../../web/editor/controller/timelinecontrol.mjs";
import { frameToX, ROW, RULER } from "../../web/editor/controller/timelinehit.mjs";
import { STRINGS, translator } from "../../web/editor/labels/strings.mjs";
import { parse } from "../../web/editor/model/document.mjs";
import { motionOf } from "../../web/editor/model/motion.mjs";
import { Store } from "../../web/editor/model/store.mjs";
import { withRange } from "../../web/editor/model/timing.mjs";
import { movePoints, transformPoints } from "../../web/editor/model/tracks.mjs";
import { paintStage, pathLayers } from "../../web/editor/view/stageview.mjs";
import { FALLBACK } from "../../web/editor/view/theme.mjs";
import { paintTimeline } from "../../web/editor/view/timelineview.mjs";
import { forcedSizes, sourceOf } from "../../web/upstream.mjs";
import { documentOf, fakeContext, press, track, VIEW } from "./support.mjs";

const STRIP = { width: 700, height: 120, scroll: 0 };

function setup(doc) {
  const commits = [];
  const store = new Store((next) => commits.push(next));
  store.load(doc);
  let time = 0;
  const control = new TimelineController(
    store,
    () => STRIP,
    () => (time += 1000),
  );
  const x = (frame) => frameToX(store.state, STRIP, frame);
  const drag = (from, to, row = 0) => {
    const y = RULER + ROW * (row + 0.5);
    control.down(press(from, y));
    control.move(press(to, y));
    control.up(press(to, y));
    parse(store.state.doc);
  };
  return { store, control, commits, x, drag, soon: () => (time -= 990) };
}
const keyed = () =>
  documentOf({
    tracks: [
      track({
        start: 8,
        end: 40,
        points: [
          { x: 0, y: 0 },
          { x: 0.5, y: 0, frame: 20 },
          { x: 1, y: 0 },
        ],
      }),
    ],
  });
const times = (store) => {
  const [{ start, end, points }] = store.state.doc.tracks;
  return [start, points[1].frame, end];
};

test("bars shift, ends trim, keys move, each as one commit", () => {
  const { store, commits, x, drag } = setup(keyed());
  drag(x(30), x(34));
  assert.deepEqual(times(store), [12, 24, 44]);
  drag(x(12), x(2));
  assert.deepEqual(times(store), [2, 18, 44]);
  drag(x(44), x(60));
  assert.deepEqual(times(store), [2, 20, 48]);
  drag(x(20), x(10));
  assert.deepEqual(times(store), [2, 10, 48]);
  drag(x(2), x(40));
  assert.deepEqual(times(store), [40, 41, 48]);
  assert.equal(commits.length, 5);
});

test("a track with a key at nearly every frame takes the start and end it is given", () => {
  const points = Array.from({ length: 41 }, (_, i) => ({ x: i / 40, y: 0.5 }));
  points.forEach((point, i) => {
    if (i > 0 && i < 40) point.frame = Math.round((i * 48) / 40);
  });
  const dense = track({ points });
  const frames = (t) => t.points.flatMap((p) => (p.frame === undefined ? [] : [p.frame]));
  const later = withRange(dense, 8, 48);
  assert.deepEqual([later.start, later.end], [8, 48]);
  assert.deepEqual(
    frames(later),
    Array.from({ length: 39 }, (_, i) => i + 9),
  );
  const short = withRange(dense, 20, 30);
  assert.deepEqual([short.start, short.end, short.points.length], [20, 30, 41]);
  assert.deepEqual(frames(short), [21, 22, 23, 24, 25, 26, 27, 28, 29]);
  assert.equal(withRange(dense, 0, 48), dense);
});

test("other buttons than the first change nothing", () => {
  const { store, control, commits, x } = setup(keyed());
  const { state } = store;
  for (const button of [1, 2]) {
    control.down(press(x(30), RULER + ROW / 2, { button }));
    control.move(press(x(40), RULER + ROW / 2, { button }));
    control.up(press(x(40), RULER + ROW / 2, { button }));
  }
  assert.deepEqual([store.state.doc, commits], [state.doc, []]);
});

test("scrubbing moves the playhead and nothing else", () => {
  const { store, control, commits, x } = setup(keyed());
  control.down(press(x(10), 5));
  assert.equal(store.state.frame, 10);
  control.move(press(x(999), 5));
  assert.equal(store.state.frame, 48);
  control.up(press(x(999), 5));
  assert.equal(commits.length, 0);
});

test("a double click on a bar ties a new point to that frame without moving the path", () => {
  const { store, control, x, soon } = setup(
    documentOf({
      tracks: [
        track({
          curve: "linear",
          points: [
            { x: 0, y: 0 },
            { x: 0.96, y: 0 },
          ],
        }),
      ],
    }),
  );
  const y = RULER + ROW / 2;
  control.down(press(x(12), y));
  control.up(press(x(12), y));
  soon();
  control.down(press(x(12), y));
  assert.deepEqual(store.state.doc.tracks[0].points[1], { x: 0.24, y: 0, frame: 12 });
});

test("everything paints: paths, points, ticks, timeline", () => {
  globalThis.Path2D = class {
    moveTo() {}
    lineTo() {}
  };
  const doc = documentOf({
    tracks: [
      ...keyed().tracks,
      track({ id: "t2", points: [{ x: 0.5, y: 0.5 }] }),
      track({ id: "t3", start: 0, end: 2 }),
    ],
  });
  const { store } = setup(doc);
  store.set({
    tool: "select",
    selection: new Map([["t1", new Set([0, 1])]]),
    grid: 8,
    hover: { track: "t3", point: null, at: { x: 1, y: 1 }, frame: 1 },
  });
  const layerContext = fakeContext();
  const layers = pathLayers(() => ({ getContext: () => layerContext }));
  const context = fakeContext();
  const surface = { context, state: store.state, view: VIEW, theme: FALLBACK, busy: true };
  const still = motionOf(doc, doc);
  const picture = () =>
    paintStage(surface, { width: 800, height: 500 }, { picture: null, tint: null }, still, layers);
  picture();
  assert.equal(layerContext.calls.stroke, undefined, "a picture shown once needs no copy");
  assert.ok(context.calls.stroke > 5);
  assert.ok(context.calls.fillText >= 1);
  picture();
  const strokes = layerContext.calls.stroke;
  assert.ok(strokes > 5);
  picture();
  assert.equal(layerContext.calls.stroke, strokes, "what rests is painted once");
  paintTimeline(context, store.state, FALLBACK, STRIP, still);
  assert.ok(context.calls.roundRect >= 4);
});

test("dragging thousands of points is a heavy motion, dragging a few is not", () => {
  const doc = documentOf({
    tracks: Array.from({ length: 50 }, (_, n) =>
      track({
        id: `t${n}`,
        points: Array.from({ length: 50 }, (_, i) => ({ x: i / 50, y: n / 50 })),
      }),
    ),
  });
  const some = { ...doc, tracks: doc.tracks.map((t, n) => (n === 7 ? { ...t } : t)) };
  assert.deepEqual([...motionOf(some, doc).tracks], [some.tracks[7]]);
  assert.equal(motionOf(some, doc).heavy, false);
  assert.equal(motionOf({ ...doc, tracks: doc.tracks.map((t) => ({ ...t })) }, doc).heavy, true);
});

test("every string is there in both languages, with the same gaps", () => {
  const [en, zh] = [translator("en-GB"), translator("zh-TW")];
  for (const [key, texts] of Object.entries(STRINGS)) {
    const gaps = texts.map((text) => (text.match(/\{\w+\}/g) ?? []).sort().join());
    assert.equal(gaps[0], gaps[1], key);
    assert.ok(en(key).length > 0 && zh(key).length > 0, key);
  }
  assert.throws(() => en("nothing of the kind"));
});

/** @param {Record<string, object>} origins */
function node(origins) {
  const names = Object.keys(origins);
  return {
    inputs: names.map((name) => ({ name, type: "IMAGE" })),
    getInputNode: (slot) => origins[names[slot]],
  };
}
const constant = (value) => ({
  widgets: [{ name: "value", value }],
  inputs: [],
  getInputNode: () => null,
});

test("sizes come from constants upstream, else from the last run, within bounds", () => {
  const computed = { widgets: [], inputs: [], getInputNode: () => null };
  const run = { tora2_size: [{ width: 640, height: 352, frames: 33 }] };
  assert.deepEqual(
    forcedSizes(node({ width: constant(512), height: computed, frames: computed }), run),
    { width: 512, height: 352, frames: 33 },
  );
  assert.deepEqual(forcedSizes(node({ width: constant(5), frames: constant(48) }), {}), {});
  assert.deepEqual(forcedSizes(node({}), run), {});
});

test("the background is the nearest picture or video upstream, or what the last run sent", () => {
  const view = ({ filename, subfolder = "", type = "input" }) => `${type}:${subfolder}:${filename}`;
  const file = (value) => ({
    widgets: [{ name: "image", value }],
    inputs: [],
    getInputNode: () => null,
  });
  const resize = { ...node({ image: file("sub/cat.png [output]") }), widgets: [] };
  assert.deepEqual(sourceOf(node({ background: resize }), {}, view), {
    frames: ["output:sub:cat.png"],
    video: null,
    masks: [],
  });
  assert.deepEqual(sourceOf(node({ background: file("a.mp4") }), {}, view).video, "input::a.mp4");
  const run = {
    tora2_background: [{ filename: "f1.png", subfolder: "", type: "temp" }],
    tora2_masks: [{ filename: "m.png", type: "temp" }],
  };
  assert.deepEqual(sourceOf(node({ background: { widgets: [] }, masks: {} }), run, view), {
    frames: ["temp::f1.png"],
    video: null,
    masks: ["temp::m.png"],
  });
  assert.deepEqual(sourceOf(node({}), run, view), { frames: [], video: null, masks: [] });
});

test("what a heavy drag moves as one is sketched once, and copied where it is", () => {
  globalThis.Path2D = class {
    moveTo() {}
    lineTo() {}
  };
  const points = Array.from({ length: 30 }, (_, i) => ({ x: i / 40, y: (i % 7) / 10 }));
  const doc = documentOf({
    tracks: Array.from({ length: 20 }, (_, n) => track({ id: `t${n}`, points })),
  });
  const every = new Map(doc.tracks.map(({ id }) => [id, new Set(points.keys())]));
  const { store } = setup(doc);
  store.set({ tool: "select", selection: every });
  const sketch = fakeContext();
  const canvas = { width: 0, height: 0, getContext: () => sketch };
  const layers = pathLayers(() => canvas);
  const context = fakeContext();
  const copies = [];
  context.drawImage = (/** @type {unknown} */ what, ...at) => copies.push([what === canvas, ...at]);
  const shown = (/** @type {typeof doc} */ moved) => {
    const state = { ...store.state, doc: moved };
    const surface = { context, state, view: VIEW, theme: FALLBACK, busy: false };
    const size = { width: 800, height: 500 };
    paintStage(surface, size, { picture: null, tint: null }, motionOf(moved, doc), layers);
  };
  const by = { x: 40 / (doc.width * VIEW.scale), y: 20 / (doc.height * VIEW.scale) };
  shown(movePoints(doc, every, { x: 0, y: by.y }));
  const strokes = sketch.calls.stroke;
  assert.ok(strokes >= 20);
  shown(movePoints(doc, every, by));
  assert.equal(sketch.calls.stroke, strokes, "the sketch is kept");
  assert.deepEqual(
    copies.map(([own]) => own),
    [true, true],
  );
  assert.deepEqual([copies[1][1] - copies[0][1], copies[1][2] - copies[0][2]], [40, 0]);

  const before = context.calls.stroke ?? 0;
  shown(transformPoints(doc, every, { angle: 0.5 }));
  assert.equal(copies.length, 2, "what is turned is sketched anew");
  assert.ok(context.calls.stroke >= before + 20);
  shown(doc);
  assert.equal(canvas.width, 0, "and then its memory is given back");
});
