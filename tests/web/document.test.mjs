import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { emptyDocument, LIMITS, parse, versioned } from "../../web/editor/model/document.mjs";
import { read } from "../../web/editor/formats/reading.mjs";
import { documentOf, track } from "./support.mjs";

test("nothing yet is an empty document", () => {
  for (const value of [null, undefined, ""]) {
    assert.deepEqual(read(value), { kind: "document", document: emptyDocument() });
  }
});

test("a document comes back as it was, defaults filled in", () => {
  assert.deepEqual(parse(documentOf()), documentOf());
  assert.deepEqual(read(JSON.stringify(documentOf())).document, documentOf());
  const sparse = parse({
    version: 1,
    width: 64,
    height: 32,
    frames: 5,
    entities: [{ id: "a" }],
    tracks: [{ id: "t", points: [{ x: 0, y: 1 }] }],
  });
  assert.deepEqual(sparse.entities, [{ id: "a", name: "a", color: "#e4572e" }]);
  assert.deepEqual(sparse.tracks[0], {
    id: "t",
    entity: null,
    curve: "spline",
    points: [{ x: 0, y: 1 }],
    start: 0,
    end: 4,
    easing: "linear",
  });
});

const junk = {
  "a number": 7,
  "a list": [],
  "no version": { tracks: [] },
  "a version in words": documentOf({ version: "1" }),
  NaN: documentOf({ width: NaN }),
  "frames that are not 4k + 1": documentOf({ frames: 48 }),
  "strings for numbers": documentOf({ tracks: [track({ points: [{ x: "0", y: 0 }] })] }),
  "infinite points": documentOf({ tracks: [track({ points: [{ x: Infinity, y: 0 }] })] }),
  "too many points": documentOf({
    tracks: [track({ points: Array(LIMITS.points + 1).fill({ x: 0, y: 0 }) })],
  }),
  "too many tracks": documentOf({
    tracks: Array.from({ length: 513 }, (_, i) => track({ id: `t${i}` })),
  }),
  "an id twice": documentOf({ tracks: [track(), track()] }),
  "an unknown key": documentOf({ surprise: 1 }),
  "an unknown entity": documentOf({ tracks: [track({ entity: "nobody" })] }),
  "keys out of order": documentOf({
    tracks: [
      track({
        points: [
          { x: 0, y: 0 },
          { x: 0, y: 0, frame: 9 },
          { x: 0, y: 0, frame: 9 },
          { x: 1, y: 0 },
        ],
      }),
    ],
  }),
  "a control character": documentOf({ entities: [{ id: "a", name: "a\nb" }] }),
  "text that is not JSON": "{nope",
  "a text beyond the limit": " ".repeat(LIMITS.text + 1),
};
for (const [name, value] of Object.entries(junk)) {
  test(`${name}: refused with a sentence`, () => {
    const reading = read(value);
    assert.equal(reading.kind, "junk");
    assert.match(reading.message, /\w+ .*\w+/);
    assert.ok(reading.message.length < 250, reading.message);
  });
}

test("version 0 migrates from pixels", () => {
  const { document } = read({
    version: 0,
    width: 100,
    height: 50,
    frames: 9,
    tracks: [
      [
        { x: 25, y: 25 },
        { x: 50, y: 0 },
      ],
    ],
  });
  assert.deepEqual(document.tracks[0].points, [
    { x: 0.25, y: 0.5 },
    { x: 0.5, y: 0 },
  ]);
  assert.equal(document.tracks[0].end, 8);
});

test("a newer version shows what it can, or nothing", () => {
  const newer = { ...documentOf(), version: 3, mood: "blue" };
  newer.tracks = [{ ...track(), layer: 3 }];
  assert.deepEqual(read(newer), { kind: "newer", version: 3, document: documentOf() });
  newer.tracks[0].name = "hop";
  const named = documentOf({ version: 2, tracks: [track({ name: "hop" })] });
  assert.deepEqual(read(newer).document, named);
  assert.deepEqual(read({ version: 4 }), { kind: "newer", version: 4, document: null });
});

test("what has another shape in a newer version is left out alone", () => {
  const cat = { id: "cat", name: "cat", color: "#e4572e" };
  const plain = track({ entity: "cat" });
  const newer = {
    ...documentOf({ entities: [cat] }),
    version: 9,
    fps: { rate: 8 },
    camera: "handheld",
    entities: [{ ...cat, name: ["cat", "Katze"] }, cat, "dog", { id: "dog", color: 7 }],
    tracks: [
      { ...plain, easing: { kind: "spring" }, end: 24 },
      {
        ...plain,
        id: "t2",
        points: [{ x: 0.1, y: 0.2, scale: [1, 2], frame: 0 }, { x: 0.5 }, { x: 0.9, y: 0.2 }],
      },
      { ...plain, id: "t3", points: { path: "M 0 0" } },
      { ...plain, id: "t1" },
      null,
    ],
  };
  const kept = JSON.stringify(newer);
  const { kind, version, document } = read(newer);
  assert.deepEqual([kind, version, JSON.stringify(newer)], ["newer", 9, kept]);
  assert.deepEqual(
    document.entities.map(({ id, name }) => [id, name]),
    [
      ["cat", "cat"],
      ["dog", "dog"],
    ],
  );
  assert.deepEqual(document.tracks, [
    { ...plain, end: 24 },
    {
      ...plain,
      id: "t2",
      points: [
        { x: 0.1, y: 0.2, frame: 0 },
        { x: 0.9, y: 0.2 },
      ],
    },
  ]);
  assert.equal(document.fps, 8);
  assert.equal(read({ ...newer, frames: 50 }).document.tracks.length, 2);
});

const corpus = JSON.parse(
  readFileSync(new URL("../fixtures/trajectory_cases.json", import.meta.url), "utf8"),
).cases.map(({ document }) => document);

test("version 1 is version 2 that says nothing new, and is written as version 1", () => {
  const first = corpus.filter(({ version }) => version === 1);
  assert.ok(first.length >= 200);
  for (const document of first) {
    const doc = parse(document);
    assert.equal(doc.version, 1);
    assert.deepEqual(parse({ ...document, version: 2 }), doc);
  }
});

test("version 2 comes back as it was; without what is new it is version 1", () => {
  const second = corpus.filter(({ version }) => version === 2);
  assert.ok(second.length >= 80);
  for (const document of second) {
    const doc = parse(document);
    assert.deepEqual(parse(JSON.parse(JSON.stringify(doc))), doc);
    if (doc.version === 2) assert.notEqual(read({ ...doc, version: 1 }).kind, "document");
    const { camera, ...plain } = doc;
    plain.tracks = doc.tracks.map(({ id, entity, curve, points, start, end, easing }) => ({
      ...{ id, entity, curve, start, end, easing: typeof easing === "string" ? easing : "linear" },
      points: points.map(({ x, y, frame }) => (frame === undefined ? { x, y } : { x, y, frame })),
    }));
    const old = versioned(plain);
    assert.equal(old.version, 1);
    assert.deepEqual(parse(old), old);
  }
});
