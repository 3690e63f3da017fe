import assert from "node:assert/strict";
import { test } from "node:test";

import { parse } from "../../web/editor/model/document.mjs";
import * as entities from "../../web/editor/model/entities.mjs";
import * as frames from "../../web/editor/model/frames.mjs";
import * as merging from "../../web/editor/model/merging.mjs";
import { sampleTrack } from "../../web/editor/model/sampling.mjs";
import { wholeTracks } from "../../web/editor/model/selection.mjs";
import * as timing from "../../web/editor/model/timing.mjs";
import * as points from "../../web/editor/model/tracks.mjs";
import { documentOf, track } from "./support.mjs";

const model = { ...entities, ...merging, ...points, ...timing };

const all = (doc) =>
  wholeTracks(
    doc,
    doc.tracks.map((t) => t.id),
  );

test("edits leave other tracks the very same objects, and the original alone", () => {
  const doc = documentOf({ tracks: [track(), track({ id: "t2" })] });
  const before = structuredClone(doc);
  const next = model.movePoints(doc, new Map([["t2", new Set([1])]]), { x: 0.1, y: 0 });
  assert.equal(next.tracks[0], doc.tracks[0]);
  assert.equal(next.tracks[1].points[1].x, 0.6);
  assert.deepEqual(doc, before);
});

test("points stay within the document's bounds", () => {
  const doc = model.movePoints(documentOf(), all(documentOf()), { x: 100, y: -100 });
  assert.deepEqual(doc.tracks[0].points[0], { x: 16, y: -16 });
  parse(doc);
});

test("mirror, scale and rotate about the middle", () => {
  const doc = documentOf({
    width: 100,
    height: 200,
    tracks: [
      track({
        points: [
          { x: 0.4, y: 0.5 },
          { x: 0.6, y: 0.5 },
        ],
      }),
    ],
  });
  const place = (next) =>
    next.tracks[0].points.map(({ x, y }) => [Math.round(x * 100), Math.round(y * 200)]);
  assert.deepEqual(place(model.transformPoints(doc, all(doc), { scaleX: -1 })), [
    [60, 100],
    [40, 100],
  ]);
  assert.deepEqual(place(model.transformPoints(doc, all(doc), { scaleX: 2, scaleY: 2 })), [
    [30, 100],
    [70, 100],
  ]);
  const turned = place(model.transformPoints(doc, all(doc), { angle: Math.PI / 2 }));
  assert.deepEqual(turned, [
    [50, 90],
    [50, 110],
  ]);
});

test("removing points removes a track with its last, and frees new ends of their frames", () => {
  const doc = documentOf({
    tracks: [
      track({
        points: [
          { x: 0, y: 0 },
          { x: 0.5, y: 0, frame: 9 },
          { x: 1, y: 0 },
        ],
      }),
      track({ id: "t2" }),
    ],
  });
  const next = model.removePoints(
    doc,
    new Map([
      ["t1", new Set([0])],
      ["t2", new Set([0, 1, 2])],
    ]),
  );
  assert.deepEqual(
    next.tracks.map((t) => t.points),
    [
      [
        { x: 0.5, y: 0 },
        { x: 1, y: 0 },
      ],
    ],
  );
  parse(next);
});

test("keys stay between their neighbours; a key at an end moves the range", () => {
  const points = [
    { x: 0, y: 0 },
    { x: 0.2, y: 0, frame: 10 },
    { x: 0.5, y: 0 },
    { x: 1, y: 0 },
  ];
  const doc = documentOf({ tracks: [track({ points })] });
  const frameOf = (next, i) => next.tracks[0].points[i].frame;
  assert.equal(frameOf(model.setKey(doc, "t1", 2, 5), 2), 11);
  assert.equal(frameOf(model.setKey(doc, "t1", 2, 99), 2), 47);
  assert.equal(frameOf(model.setKey(doc, "t1", 1, null), 1), undefined);
  assert.equal(model.setKey(doc, "t1", 0, 30).tracks[0].start, 9);
  assert.equal(model.setKey(doc, "t1", 3, 2).tracks[0].end, 11);
  for (const [i, f] of [
    [0, 30],
    [1, 60],
    [2, 0],
    [3, 2],
  ])
    parse(model.setKey(doc, "t1", i, f));
});

test("shifting keeps the length and stops at the clip's ends", () => {
  const t = track({
    start: 10,
    end: 20,
    points: [
      { x: 0, y: 0 },
      { x: 1, y: 0, frame: 15 },
      { x: 2, y: 0 },
    ],
  });
  const late = model.shifted(t, 100, 49);
  assert.deepEqual([late.start, late.points[1].frame, late.end], [38, 43, 48]);
  assert.equal(model.shifted(t, -100, 49).start, 0);
});

test("reversing runs the same places backwards in time", () => {
  const size = { width: 100, height: 100, frames: 21 };
  const t = track({
    end: 20,
    easing: "in",
    points: [
      { x: 0, y: 0 },
      { x: 0.4, y: 0.3, frame: 6 },
      { x: 1, y: 0 },
    ],
  });
  const there = sampleTrack(t, size);
  const back = sampleTrack(model.reversed(t), size);
  for (let f = 0; f <= 20; f++) assert.ok(Math.abs(there.x[f] - back.x[20 - f]) < 1e-9);
});

test("resizing keeps fractions of frame and clip, and lets colliding keys go", () => {
  const points = [
    { x: 0, y: 0 },
    { x: 0.3, y: 0, frame: 12 },
    { x: 0.4, y: 0, frame: 13 },
    { x: 1, y: 0 },
  ];
  const doc = documentOf({ tracks: [track({ start: 8, end: 40, points })] });
  const half = model.resized(doc, { frames: 25, width: 360 });
  assert.deepEqual([half.tracks[0].start, half.tracks[0].end], [4, 20]);
  assert.deepEqual(
    half.tracks[0].points.map((p) => p.frame),
    [undefined, 6, 7, undefined],
  );
  assert.equal(half.tracks[0].points[1].x, 0.3);
  const tiny = model.resized(doc, { frames: 5 });
  assert.deepEqual(
    tiny.tracks[0].points.map((p) => p.frame),
    [undefined, undefined, undefined, undefined],
  );
  parse(half);
  parse(tiny);
  assert.equal(model.resized(doc, {}), doc);
});

test("merging finds entities by name, makes new ones, and never reuses an id", () => {
  const doc = documentOf({ tracks: [track({ entity: "e1" })] });
  const other = documentOf({
    entities: [
      { id: "x", name: "cat", color: "#000000" },
      { id: "e1", name: "dog", color: "#111111" },
    ],
    tracks: [track({ entity: "x" }), track({ id: "t2", entity: "e1" })],
  });
  const { doc: next, ids } = model.merge(doc, other, { x: 0.1, y: 0 });
  parse(next);
  assert.deepEqual(
    next.entities.map((e) => e.name),
    ["cat", "dog"],
  );
  assert.deepEqual(ids, ["t2", "t3"]);
  assert.deepEqual(
    next.tracks.map((t) => t.entity),
    ["e1", "e1", next.entities[1].id],
  );
  assert.equal(next.entities[1].color, "#111111");
});

test("entities and tracks keep to their limits and order", () => {
  let doc = documentOf({ entities: [], tracks: [] });
  for (let i = 0; i < 64; i++) doc = model.addEntity(doc, `entity ${i}`).doc;
  assert.equal(model.addEntity(doc, "one more"), null);
  doc = model.moveEntity(doc, doc.entities[0].id, 1);
  assert.equal(doc.entities[1].name, "entity 0");
  doc = model.removeEntity(doc, doc.entities[1].id);
  assert.equal(doc.entities.length, 63);
  parse(doc);
});

test("free tracks take the colours that entities leave", () => {
  const doc = documentOf({
    tracks: [track(), track({ id: "t2", entity: "e1" }), track({ id: "t3" })],
  });
  assert.deepEqual([...model.colorsOf(doc).values()], ["#2e86de", "#e4572e", "#29a36a"]);
});

test("clips are 4k + 1 frames long", () => {
  assert.deepEqual(
    [-3, 0, 1, 2, 3, 4, 48, 49, 50].map(frames.clipLength),
    [1, 1, 1, 1, 5, 5, 49, 49, 49],
  );
  for (let n = 1; n < 60; n++) assert.equal(frames.isClipLength(n), frames.clipLength(n) === n);
  for (const junk of [0, -3, 4.5, NaN, "5", undefined]) {
    assert.equal(frames.isClipLength(junk), false, String(junk));
  }
});
