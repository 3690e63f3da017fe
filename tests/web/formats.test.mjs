import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";

import { parse } from "../../web/editor/model/document.mjs";
import { DocumentError } from "../../web/editor/model/fields.mjs";
import { EXPORTS, pointLists } from "../../web/editor/formats/exporting.mjs";
import { importBytes, importText } from "../../web/editor/formats/importing.mjs";
import { isNpz } from "../../web/editor/formats/npz.mjs";
import { merge } from "../../web/editor/model/merging.mjs";
import { TEMPLATES } from "../../web/editor/model/templates.mjs";
import { addTrack } from "../../web/editor/model/tracks.mjs";
import { sampleTrack, visibleAt } from "../../web/editor/model/sampling.mjs";
import { documentOf, track } from "./support.mjs";

const doc = documentOf({
  tracks: [
    track({ easing: "in-out" }),
    track({ id: "t2", start: 10, end: 30, curve: "linear" }),
    track({ id: "t3", points: [{ x: 0.5, y: 0.25 }] }),
  ],
});

function near(result, tolerance) {
  assert.equal(result.tracks.length, doc.tracks.length);
  parse(result);
  doc.tracks.forEach((wanted, n) => {
    const a = sampleTrack(wanted, doc);
    const b = sampleTrack(result.tracks[n], result);
    for (let f = wanted.start; f <= wanted.end; f++) {
      const off = Math.hypot(a.x[f] - b.x[f], a.y[f] - b.y[f]);
      assert.ok(off <= tolerance, `track ${n} frame ${f}: ${off} px`);
    }
  });
}

test("a document exports and imports exactly", () => {
  const [{ text }] = EXPORTS.exportDocument(doc);
  assert.deepEqual(importText(text, doc).doc, doc);
});

for (const name of ["exportPoints", "exportTracks", "exportCsv"]) {
  test(`${name} comes back to a third of a pixel, with fewer points`, () => {
    const [{ text }] = EXPORTS[name](doc);
    const { doc: back } = importText(text, doc);
    near(back, 0.34);
    assert.ok(back.tracks[1].points.length < 9, "straight and even motion needs few points");
    assert.equal(back.tracks[2].points.length, 1);
    if (name === "exportPoints") return;
    for (let f = 0; f < 49; f++)
      assert.equal(visibleAt(back.tracks[1], f), visibleAt(doc.tracks[1], f));
  });
}

test("Tora's text is 256 wide, whole numbers, one file a track", () => {
  const files = EXPORTS.exportTora(doc);
  assert.equal(files.length, 3);
  assert.equal(files[2].text.trim().split("\n").length, 49);
  assert.equal(files[2].text.split("\n")[0], "128,64");
  const { doc: back } = importText(files[0].text, doc);
  const a = sampleTrack(doc.tracks[0], doc);
  const b = sampleTrack(back.tracks[0], back);
  for (let f = 0; f < 49; f++) assert.ok(Math.hypot(a.x[f] - b.x[f], a.y[f] - b.y[f]) < 2.5);
});

test("Tora's text refuses paths that leave the frame", () => {
  const outside = documentOf({
    tracks: [
      track({
        points: [
          { x: -0.5, y: 0.5 },
          { x: 1, y: 1 },
        ],
      }),
    ],
  });
  assert.throws(() => EXPORTS.exportTora(outside), DocumentError);
});

test("every shape of point list that is about", () => {
  const flat = '[{"x": 10, "y": 20}, {"x": 30, "y": 20}]';
  const shapes = [
    flat,
    `[${flat}]`,
    JSON.stringify([flat]),
    flat.replaceAll('"', "'"),
    "[[10, 20], [30, 20]]",
    "[[[10, 20], [30, 20]]]",
  ];
  for (const text of shapes) {
    const { tracks } = importText(text, doc).doc;
    assert.deepEqual(
      tracks[0].points.map(({ x, y }) => [Math.round(x * 720), Math.round(y * 480)]),
      [
        [10, 20],
        [30, 20],
      ],
      text,
    );
  }
  assert.equal(
    importText(JSON.stringify([[{ x: 1, y: 1 }], [{ x: 2, y: 2 }]]), doc).doc.tracks.length,
    2,
  );
});

test("a list with more points than frames keeps its shape and ends", () => {
  const long = Array.from({ length: 121 }, (_, i) => ({ x: i, y: 100 }));
  const { tracks } = importText(JSON.stringify([long]), doc).doc;
  const { x } = sampleTrack(tracks[0], doc);
  assert.ok(Math.abs(x[0]) < 0.3 && Math.abs(x[48] - 120) < 0.3 && Math.abs(x[24] - 60) < 0.6);
});

test("what cannot be read is refused with a sentence", () => {
  for (const text of [
    "",
    "hello",
    "[]",
    "{",
    "[1, 2",
    '{"version": 9}',
    "1,2\nx,y",
    "track,frame\n1,2",
    "x,y\na,b",
    '[["a"]]',
    '{"track_path": 3}',
  ]) {
    assert.throws(() => importText(text, doc), DocumentError, text);
  }
});

test("templates are tracks within the rules, and follow keeps its distance", () => {
  for (const make of Object.values(TEMPLATES.figures)) parse(addTrack(doc, make(doc)).doc);
  for (const [name, make] of Object.entries(TEMPLATES.companions)) {
    const leader = doc.tracks[1];
    const { doc: next } = addTrack(doc, make(doc, leader));
    parse(next);
    const mine = sampleTrack(next.tracks[3], next);
    const theirs = sampleTrack(leader, next);
    const apart = [10, 20, 30].map((f) =>
      Math.hypot(mine.x[f] - theirs.x[f], mine.y[f] - theirs.y[f]),
    );
    for (const distance of apart) assert.ok(Math.abs(distance - apart[0]) < 2, `${name}: ${apart}`);
  }
});

test("an import merges into what is there", () => {
  const { doc: next, ids } = merge(doc, importText(JSON.stringify(pointLists(doc)), doc).doc);
  assert.equal(next.tracks.length, 6);
  assert.deepEqual(ids, ["t4", "t5", "t6"]);
  parse(next);
});

/** A zip of stored members, as `np.savez` writes it, of little-endian float32 arrays. */
function npz(arrays) {
  const bytes = [];
  const number = (value, size) => {
    for (let i = 0; i < size; i++) bytes.push(Math.floor(value / 256 ** i) % 256);
  };
  const text = (value) => bytes.push(...[...value].map((sign) => sign.charCodeAt(0)));
  const entries = Object.entries(arrays).map(([name, { shape, values, type = "<f4" }]) => {
    const offset = bytes.length;
    const head = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }\n`;
    const data = new Uint8Array(new Float32Array(values).buffer);
    const size = 10 + head.length + data.length;
    number(0x04034b50, 4);
    bytes.push(...Array(22).fill(0));
    number(name.length + 4, 2);
    number(0, 2);
    text(`${name}.npy`);
    const start = bytes.length;
    text("\x93NUMPY\x01\x00");
    number(head.length, 2);
    text(head);
    bytes.push(...data);
    return { name: `${name}.npy`, sum: crc32(Uint8Array.from(bytes.slice(start))), size, offset };
  });
  const directory = bytes.length;
  for (const { name, sum, size, offset } of entries) {
    number(0x02014b50, 4);
    bytes.push(...Array(12).fill(0));
    number(sum, 4);
    number(size, 4);
    number(size, 4);
    number(name.length, 2);
    bytes.push(...Array(12).fill(0));
    number(offset, 4);
    text(name);
  }
  const end = bytes.length;
  number(0x06054b50, 4);
  number(0, 4);
  number(entries.length, 2);
  number(entries.length, 2);
  number(end - directory, 4);
  number(directory, 4);
  number(0, 2);
  return new Uint8Array(bytes).buffer;
}

test(".npz files of TRACKS are read; a track that comes back is two", async () => {
  const frames = [...Array(49).keys()];
  const track_path = { shape: [49, 2, 2], values: frames.flatMap((f) => [f, 2 * f, 10 + f, 5]) };
  const seen = frames.flatMap((f) => [1, f < 10 || f > 19 ? 1 : 0]);
  const track_visibility = { shape: [49, 2], values: seen };
  const buffer = npz({ track_path, track_visibility });
  assert.ok(isNpz(buffer));
  const { tracks } = (await importBytes(buffer, doc)).doc;
  assert.deepEqual(
    tracks.map(({ start, end }) => [start, end]),
    [
      [0, 48],
      [0, 9],
      [20, 48],
    ],
  );
  const last = sampleTrack(tracks[0], doc);
  assert.ok(Math.abs(last.x[48] - 48) < 0.01 && Math.abs(last.y[48] - 96) < 0.01);
});

test("broken .npz files are refused with a sentence", async () => {
  const good = { shape: [1, 1, 2], values: [1, 2] };
  for (const [buffer, message] of [
    [npz({ other: good }), "track_path"],
    [npz({ track_path: { ...good, type: "|O8" } }), "track_path is an array of |O8"],
    [npz({ track_path: { ...good, shape: [9, 9, 2] } }), "not a complete"],
    [npz({ track_path: good }).slice(0, 60), "not a complete"],
    [npz({ track_path: good }).slice(0, -30), "not a complete"],
  ]) {
    await assert.rejects(importBytes(buffer, doc), (error) => {
      assert.ok(error instanceof DocumentError, String(error));
      assert.ok(error.message.includes(message), error.message);
      return true;
    });
  }
});
