/** The one rule for path files of other tools, which holds Python as well; the bounds it has. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";

import { parse } from "../../web/editor/model/document.mjs";
import { DocumentError } from "../../web/editor/model/fields.mjs";
import { takeFiles, takeText } from "../../web/editor/input/files.mjs";
import { readBytes, readText } from "../../web/editor/formats/foreign.mjs";
import { importBytes, importText } from "../../web/editor/formats/importing.mjs";
import { sampleTrack, visibleAt } from "../../web/editor/model/sampling.mjs";
import { Store } from "../../web/editor/model/store.mjs";
import { documentOf } from "./support.mjs";

const { canvas, ...cases } = JSON.parse(
  readFileSync(new URL("../fixtures/foreign_paths.json", import.meta.url), "utf8"),
);
const doc = documentOf({ ...canvas, tracks: [] });

/** @param {{text?: string, bytes?: string}} stored */
function bytesOf({ text, bytes }) {
  const buffer = text === undefined ? Buffer.from(bytes, "base64") : Buffer.from(text);
  return new Uint8Array(buffer).buffer;
}

test("what Python reads is read, point by point", async () => {
  assert.ok(cases.read.length >= 100);
  for (const { name, frames, tracks, ...stored } of cases.read) {
    const { doc: read } = await readBytes(bytesOf(stored), canvas);
    assert.equal(read.frames, frames, name);
    assert.deepEqual(
      read.tracks.map(({ start, end, curve }) => [start, end, curve]),
      tracks.map((points) => [points[0][0], points[points.length - 1][0], "linear"]),
      name,
    );
    read.tracks.forEach((track, n) => {
      assert.deepEqual(
        track.points.map((point) => point.frame),
        tracks[n].map(([frame]) => frame),
        name,
      );
      track.points.forEach(({ x, y }, i) => {
        const [, wantedX, wantedY] = tracks[n][i];
        const off = Math.hypot(x * canvas.width - wantedX, y * canvas.height - wantedY);
        assert.ok(off < 1e-5, `${name}: track ${n}, point ${i} is ${off} px off`);
      });
    });
  }
});

test("what Python refuses is refused, with a sentence", async () => {
  assert.ok(cases.refused.length >= 70);
  for (const { name, ...stored } of cases.refused) {
    for (const read of [readBytes, importBytes]) {
      await assert.rejects(read(bytesOf(stored), doc), (error) => {
        assert.ok(error instanceof DocumentError, `${name}: ${error}`);
        assert.match(error.message, / /, name);
        assert.ok(!error.message.includes("\n") && error.message.length < 250, name);
        return true;
      });
    }
  }
});

test("an import shows a file of our length within a quarter of a pixel, in our length", async () => {
  for (const { name, frames, tracks, ...stored } of cases.read) {
    if (!tracks.length) continue;
    const { doc: read } = await importBytes(bytesOf(stored), doc);
    assert.equal(read.frames, doc.frames, name);
    if (frames !== doc.frames) continue;
    read.tracks.forEach((track, n) => {
      const { x, y } = sampleTrack(track, doc);
      assert.deepEqual([track.start, track.end], [tracks[n][0][0], tracks[n].at(-1)[0]], name);
      for (const [frame, wantedX, wantedY] of tracks[n]) {
        assert.ok(Math.hypot(x[frame] - wantedX, y[frame] - wantedY) < 0.26, `${name}, ${frame}`);
      }
    });
  }
});

test("a file of another length is spread over our clip, at the same fractions of it", () => {
  const points = Array.from({ length: 121 }, (_, i) => ({ x: i, y: (i / 10) ** 2 }));
  const [track] = importText(JSON.stringify([points]), doc).doc.tracks;
  const { x, y } = sampleTrack(track, doc);
  for (let f = 0; f < 49; f++) {
    const u = (f / 48) * 120;
    assert.ok(Math.hypot(x[f] - u, y[f] - (u / 10) ** 2) < 0.5, `${f}: ${x[f]}, ${y[f]}`);
  }
  const [rests] = importText("[[5, 6]]", doc).doc.tracks;
  assert.ok(rests.points.length === 1 && visibleAt(rests, 0) && visibleAt(rests, 48));
});

test("what does not fit the frames of a Tora file is told", () => {
  const lines = (/** @type {number} */ n) =>
    Array.from({ length: n }, (_, i) => `${i},7\n`).join("");
  assert.deepEqual(
    [49, 50, 90, 98].map((n) => importText(lines(n), doc).lost),
    [0, 1, 41, 1],
  );
});

test("depth, length and numbers beyond bounds end in a sentence", () => {
  for (const [text, message] of [
    ["[".repeat(100_000) + "]".repeat(100_000), "has 1 items"],
    ["[".repeat(100_000), "not JSON"],
    [`{"track_path": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "not an array"],
    ["1,2\n" + "\n".repeat(2_000_000), "more than 1049600 lines"],
    [`x,y\n${" ".repeat(400_000)}1${" ".repeat(400_000)}1`, "not CSV"],
    [`x,y\n${'"'.repeat(60_001)}`, "not CSV"],
    [`hello${" ".repeat(3_000_000)}you`, "expected x,y"],
    [`[${"[],".repeat(1_100_000)}[]]`, "1100002 objects and lists"],
    ["[[" + "9".repeat(400) + ", 1]]", "Infinity"],
    [" ".repeat(33 * 1024 * 1024), "expected at most"],
    [`{"version": 1, "a": "${"a".repeat(5_000_000)}"}`, "expected at most 4194304"],
  ]) {
    assert.throws(
      () => readText(text, canvas),
      (error) => {
        assert.ok(error instanceof DocumentError, String(error));
        assert.ok(error.message.includes(message), error.message);
        return true;
      },
    );
  }
});

/** A zip of one deflated member of zeros that says how long it is. */
function bomb(name, content, size, copies = 1) {
  const packed = deflateRawSync(content);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(0x04034b50);
  head.writeUInt16LE(name.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50);
  entry.writeUInt16LE(8, 10);
  entry.writeUInt32LE(packed.length, 20);
  entry.writeUInt32LE(size, 24);
  entry.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt32LE(copies * (entry.length + name.length), 12);
  end.writeUInt32LE(head.length + name.length + packed.length, 16);
  const entries = Array(copies)
    .fill([entry, Buffer.from(name)])
    .flat();
  const bytes = Buffer.concat([head, Buffer.from(name), packed, ...entries, end]);
  return new Uint8Array(bytes).buffer;
}

test("an .npz unpacks no more than TRACKS can be", async () => {
  const zeros = Buffer.alloc(30_000_000);
  for (const [buffer, message] of [
    [bomb("track_path.npy", zeros, zeros.length), "is 30000000 bytes, expected at most"],
    [bomb("track_path.npy", zeros, 1000), "not a complete"],
    [bomb("track_path.npy", zeros, 1000, 700), "more members, expected at most 64"],
    [bomb("track_other.npy", zeros, zeros.length), "track_path"],
  ]) {
    await assert.rejects(readBytes(buffer, canvas), (error) => {
      assert.ok(error instanceof DocumentError, String(error));
      assert.ok(error.message.includes(message), error.message);
      return true;
    });
  }
});

test("a refused import says so and leaves the document as it was; the next one comes in", async () => {
  const commits = [];
  const store = new Store((next) => commits.push(next));
  const before = store.state.doc;
  const said = [];
  const status = { say: (text) => said.push(text) };
  const t = (key, values = {}) => `${key} ${values.reason ?? values.n}`;
  const editor = { store, status, t };
  const file = (content) => new File([content], "paths.json");
  const hostile = [
    '{"track_path": [[[1, 2]], [[1]]]}',
    "[".repeat(100_000) + "]".repeat(100_000),
    "[[1e308, 1e308], [-1e308, 0]]",
    "[[NaN, 1], [2, 3]]",
    '{"track_path": [[[1e308, null]], [[Infinity, 1]]]}',
  ];
  for (const text of hostile) {
    takeText(editor, text);
    await takeFiles(editor, [file(text)]);
  }
  await takeFiles(editor, [file(bomb("track_path.npy", Buffer.alloc(9_000_000), 9_000_000))]);
  assert.equal(said.length, 2 * hostile.length + 1);
  for (const text of said) assert.match(text, /^importFailed .*expected|^importFailed .* not /);
  assert.deepEqual([store.state.doc, commits], [before, []]);
  await takeFiles(editor, [file("[[1, 2], [30, 40]]")]);
  assert.equal(said.at(-1), "importedOne 1");
  assert.equal(commits[0].tracks.length, 1);
});

/** Numbers from 0 to below n, the same ones for a seed. @param {number} seed */
function chances(seed) {
  let state = seed >>> 0;
  return (/** @type {number} */ n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

test("damaged files are documents or one clean sentence", async () => {
  const pieces = ["", "7", " ", "0", "\n", "\0", "'", '"', "[", "}", ",", "NaN", "1e999", "\u2028"];
  pieces.push("9".repeat(400), "[".repeat(5000));
  const samples = cases.read.filter(({ text = "" }) => text.length < 3000);
  let read = 0;
  for (let seed = 0; seed < 2000; seed++) {
    const chance = chances(seed);
    const { text, bytes } = samples[chance(samples.length)];
    let damaged = text === undefined ? Buffer.from(bytes, "base64") : Buffer.from(text);
    for (let n = chance(2); n >= 0; n--) {
      const at = chance(damaged.length + 1);
      const piece = text === undefined ? [chance(256)] : pieces[chance(pieces.length)];
      const rest = damaged.subarray(at + chance(2));
      damaged = Buffer.concat([damaged.subarray(0, at), Buffer.from(piece), rest]);
    }
    try {
      parse((await importBytes(new Uint8Array(damaged).buffer, doc)).doc);
      read++;
    } catch (error) {
      assert.ok(error instanceof DocumentError, `${seed}: ${error}`);
      assert.match(error.message, /^[^\p{C}\p{Zl}\p{Zp}]{6,300}$/u, `${seed}`);
    }
  }
  assert.ok(read > 100 && read < 1900, `${read}`);
});

const curves = JSON.parse(
  readFileSync(new URL("../fixtures/foreign_curves.json", import.meta.url), "utf8"),
);

test("curves that stay editable are the ones that Python makes of them", () => {
  for (const { name, text, document } of curves.cases) {
    const { doc: read } = readText(text, curves.canvas);
    const { tracks, ...rest } = parse(document);
    assert.deepEqual({ ...read, tracks: [] }, { ...rest, tracks: [] }, name);
    assert.equal(read.tracks.length, tracks.length, name);
    read.tracks.forEach(({ points, ...track }, n) => {
      const { points: wanted, ...others } = tracks[n];
      assert.deepEqual(track, others, name);
      const numbers = (/** @type {any[]} */ list) =>
        list.map(({ x, y, frame, scale, arrive, leave }) => [
          [x, y, frame, scale].map((part) => part ?? NaN),
          arrive ?? [],
          leave ?? [],
        ]);
      assert.deepEqual(rounded(numbers(points)), rounded(numbers(wanted)), name);
    });
  }
});

/** @param {any} value numbers in lists @returns {any} */
function rounded(value) {
  return Array.isArray(value) ? value.map(rounded) : Math.round(value * 1e7) / 1e7 + 0;
}
