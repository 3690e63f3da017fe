import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { filmed } from "../../web/editor/model/camera.mjs";
import { parse } from "../../web/editor/model/document.mjs";
import {
  frameAtLength,
  sampleTrack,
  tooFast,
  visibleAt,
} from "../../web/editor/model/sampling.mjs";

const cases = JSON.parse(
  readFileSync(new URL("../fixtures/trajectory_cases.json", import.meta.url), "utf8"),
).cases;

test("the preview is what Python samples, to 0.01 px", () => {
  assert.ok(cases.length >= 300);
  for (const { name, document, points, visible, scale } of cases) {
    const doc = parse(document);
    assert.equal(doc.tracks.length, points.length, name);
    doc.tracks.forEach((track, n) => {
      const { x, y, scale: sizes } = filmed(track, doc);
      for (let f = 0; f < doc.frames; f++) {
        const size = scale ? scale[n][f] : 1;
        assert.ok(Math.abs(sizes[f] - size) < 1e-5 * size, `${name}: track ${n}, size at ${f}`);
        const off = Math.hypot(x[f] - points[n][f][0], y[f] - points[n][f][1]);
        assert.ok(off < 0.01, `${name}: track ${n}, frame ${f} is ${off} px off`);
        assert.equal(visibleAt(track, f), visible[n][f], `${name}: track ${n}, frame ${f}`);
      }
    });
  }
});

const size = { width: 100, height: 100, frames: 11 };
const line = (fields = {}) => ({
  id: "t1",
  entity: null,
  curve: "linear",
  points: [
    { x: 0, y: 0 },
    { x: 1, y: 0 },
  ],
  start: 0,
  end: 10,
  easing: "linear",
  ...fields,
});

test("a straight track moves evenly, and easing in covers a quarter at half time", () => {
  assert.deepEqual([...sampleTrack(line(), size).x], [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  assert.equal(sampleTrack(line({ easing: "in" }), size).x[5], 25);
  assert.equal(sampleTrack(line({ easing: "out" }), size).x[5], 75);
});

test("speed is the largest step, and a step beyond a tenth of the width is too fast", () => {
  assert.equal(sampleTrack(line(), size).speed, 10);
  assert.equal(tooFast(line(), size), false);
  assert.equal(tooFast(line({ end: 9 }), size), true);
});

test("the frame at a length inverts the sampling", () => {
  for (const easing of ["linear", "in", "out", "in-out"]) {
    const track = line({
      easing,
      points: [
        { x: 0, y: 0 },
        { x: 0.3, y: 0, frame: 6 },
        { x: 1, y: 0 },
      ],
    });
    const { x } = sampleTrack(track, size);
    for (let f = 0; f <= 10; f++) {
      assert.ok(Math.abs(frameAtLength(track, size, x[f]) - f) < 1e-6, `${easing} ${f}`);
    }
  }
});
