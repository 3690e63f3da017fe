/**
 * Reading what other programs write. The result is a document of the size and length of ours.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/types.mjs").Point} Point
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {{points: Vec[], visible?: boolean[]}} Dense points in px, evenly spaced in time
 */
import { LIMITS, parse } from "../model/document.mjs";
import { DocumentError, isObject } from "../model/fields.mjs";
import { addTrack } from "../model/tracks.mjs";
import { readNpz } from "./npz.mjs";

const TORA_CANVAS = 256;
/** How far (px) a thinned track may be from the points it was given. */
const TOLERANCE = 0.25;

/**
 * Any of: a trajectory document, point lists (`[[{"x","y"}]]`, flat, as strings, as pairs), TRACKS
 * as JSON, a table with x and y columns, Tora's `x,y` lines.
 * @param {string} text
 * @param {Doc} doc gives the size and length
 * @returns {Doc}
 * @throws {DocumentError}
 */
export function importText(text, doc) {
  if (text.length > LIMITS.text) {
    throw new DocumentError(`${text.length} characters, expected at most ${LIMITS.text}`);
  }
  const trimmed = text.replace(/^\uFEFF/, "").trim();
  if (/^[[{]/.test(trimmed)) return fromJson(parseJson(trimmed), doc);
  if (/^[-+\d.]/.test(trimmed)) return fromDense([toraLines(trimmed, doc)], doc);
  return fromDense(csvTracks(trimmed), doc);
}

/**
 * Tracks from a .npz file of the host's TRACKS.
 * @param {ArrayBuffer} buffer
 * @param {Doc} doc
 * @returns {Promise<Doc>}
 * @throws {DocumentError}
 */
export async function importNpz(buffer, doc) {
  return fromDense(hostTracks(await readNpz(buffer)), doc);
}

/** @param {string} text @returns {unknown} JSON, or the Python literal that older nodes emit */
function parseJson(text) {
  for (const attempt of [text, text.replaceAll("'", '"')]) {
    try {
      return JSON.parse(attempt);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  throw new DocumentError("this is not JSON");
}

/** @param {unknown} value @param {Doc} doc @returns {Doc} */
function fromJson(value, doc) {
  if (isObject(value) && "track_path" in value) return fromDense(hostTracks(value), doc);
  if (isObject(value)) return parse(value);
  return fromDense(
    pointLists(value).map((points) => ({ points })),
    doc,
  );
}

/** @param {unknown} value @returns {Vec[][]} */
function pointLists(value) {
  if (!Array.isArray(value) || !value.length) throw new DocumentError("an empty list of points");
  if (value.every((item) => typeof item === "string")) {
    return value.flatMap((item) => pointLists(parseJson(item)));
  }
  if (value.every(isPoint)) return [value.map(toVec)];
  return value.flatMap(pointLists);
}

/** @param {unknown} value */
function isPoint(value) {
  if (isObject(value)) return Number.isFinite(value.x) && Number.isFinite(value.y);
  return Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);
}

/** @param {any} value @returns {Vec} */
function toVec(value) {
  return Array.isArray(value) ? { x: value[0], y: value[1] } : { x: value.x, y: value.y };
}

/** @param {Record<string, unknown>} value @returns {Dense[]} */
function hostTracks({ track_path: path, track_visibility: visibility }) {
  if (!Array.isArray(path) || !path.every((row) => Array.isArray(row) && row.every(isPoint))) {
    throw new DocumentError("track_path is expected as [frames][tracks][2] numbers");
  }
  const seen = Array.isArray(visibility) ? visibility : [];
  return (path[0] ?? []).map((/** @type {unknown} */ _, /** @type {number} */ n) => ({
    points: path.map((row) => toVec(row[n] ?? row[0])),
    visible: path.map((_row, f) => Boolean(seen[f]?.[n] ?? true)),
  }));
}

/** @param {string} text @param {Doc} doc @returns {Dense} */
function toraLines(text, doc) {
  const points = text
    .split(/\r?\n/)
    .filter((line) => line.trim())
    .map((line, i) => {
      const [x, y] = line.split(",").map(Number);
      if (!Number.isFinite(x) || !Number.isFinite(y)) {
        throw new DocumentError(`line ${i + 1} is '${line.slice(0, 40)}', expected x,y`);
      }
      return { x: (x / TORA_CANVAS) * doc.width, y: (y / TORA_CANVAS) * doc.height };
    });
  return { points };
}

/**
 * A table with a header that names x and y, and perhaps track, frame and visible.
 * @param {string} text
 * @returns {Dense[]}
 */
function csvTracks(text) {
  const [head = "", ...lines] = text.split(/\r?\n/).filter((line) => line.trim());
  const columns = head
    .toLowerCase()
    .split(",")
    .map((name) => name.trim());
  const cell = (/** @type {string[]} */ cells, /** @type {string} */ name) =>
    (cells[columns.indexOf(name)] ?? "").trim();
  if (!columns.includes("x") || !columns.includes("y")) {
    throw new DocumentError(`'${head.slice(0, 40)}' is none of the formats that are known`);
  }
  /** @type {Map<string, {frame: number, point: Vec, visible: boolean}[]>} */
  const tracks = new Map();
  for (const line of lines) {
    const cells = line.split(",");
    const rows = tracks.get(cell(cells, "track")) ?? [];
    const point = { x: Number(cell(cells, "x")), y: Number(cell(cells, "y")) };
    const frame = columns.includes("frame") ? Number(cell(cells, "frame")) : rows.length;
    if (!isPoint(point) || !Number.isFinite(frame)) {
      throw new DocumentError(`'${line.slice(0, 40)}' has no numbers x and y`);
    }
    const visible = !["0", "false"].includes(cell(cells, "visible").toLowerCase());
    rows.push({ frame, point, visible });
    tracks.set(cell(cells, "track"), rows);
  }
  return [...tracks.values()].map((rows) => {
    rows.sort((a, b) => a.frame - b.frame);
    return { points: rows.map((row) => row.point), visible: rows.map((row) => row.visible) };
  });
}

/** @param {Dense[]} tracks @param {Doc} doc @returns {Doc} */
function fromDense(tracks, doc) {
  /** @type {Doc} */
  let result = { ...doc, entities: [], tracks: [] };
  tracks = tracks.flatMap(sightings);
  if (!tracks.length) throw new DocumentError("there are no tracks in it");
  if (tracks.length > LIMITS.tracks) {
    throw new DocumentError(`${tracks.length} tracks, expected at most ${LIMITS.tracks}`);
  }
  for (const dense of tracks) {
    const added = addTrack(result, toTrack(dense, doc));
    if (!added) throw new DocumentError("a track without points");
    result = added.doc;
  }
  return result;
}

/**
 * A track that disappears and comes back is one track for each time it is seen.
 * @param {Dense} dense
 * @returns {Dense[]}
 */
function sightings(dense) {
  const { points, visible } = dense;
  if (!visible) return [dense];
  /** @type {Dense[]} */
  const result = [];
  points.forEach((_, i) => {
    if (!visible[i]) return;
    if (i === 0 || !visible[i - 1]) result.push({ points, visible: points.map(() => false) });
    /** @type {boolean[]} */ (result[result.length - 1].visible)[i] = true;
  });
  return result;
}

/** @param {Dense} dense @param {Doc} doc @returns {Partial<Track> & {points: Point[]}} */
function toTrack({ points, visible }, doc) {
  const span = points.length - 1;
  const last = doc.frames - 1;
  const toFrame = (/** @type {number} */ i) => (span ? Math.round((i / span) * last) : 0);
  const first = visible ? visible.indexOf(true) : 0;
  const end = visible ? visible.lastIndexOf(true) : span;
  const shown = points.slice(first, end + 1);
  const fraction = (/** @type {Vec} */ { x, y }) => ({ x: x / doc.width, y: y / doc.height });
  const range = { start: toFrame(first), end: span ? toFrame(end) : last };
  if (shown.every((p) => p.x === shown[0].x && p.y === shown[0].y)) {
    return { points: [fraction(shown[0])], ...range };
  }
  const timed = atFrames(shown, range.start, range.end);
  const kept = thinned(timed).map(({ x, y, frame }) => ({ ...fraction({ x, y }), frame }));
  return { points: kept, curve: "linear", ...range };
}

/** @param {Vec[]} points @param {number} start @param {number} end @returns {Required<Point>[]} px */
function atFrames(points, start, end) {
  const n = points.length - 1;
  const span = Math.max(1, end - start);
  const count = Math.min(n, span);
  return Array.from({ length: count + 1 }, (_, i) => {
    const frame = start + Math.round((i * span) / count);
    const place = (i / count) * n;
    const low = Math.min(n - 1, Math.floor(place));
    const u = place - low;
    const [a, b] = [points[low], points[low + 1]];
    return { x: a.x + u * (b.x - a.x), y: a.y + u * (b.y - a.y), frame };
  });
}

/**
 * Keep the points that straight, even motion between the kept ones would miss by more than the
 * tolerance.
 * @param {Required<Point>[]} points
 */
function thinned(points) {
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  /** @type {[number, number][]} */
  const stack = [[0, points.length - 1]];
  while (stack.length) {
    const [first, last] = /** @type {[number, number]} */ (stack.pop());
    const [a, b] = [points[first], points[last]];
    let worst = TOLERANCE;
    let split = -1;
    for (let i = first + 1; i < last; i++) {
      const u = (points[i].frame - a.frame) / (b.frame - a.frame);
      const dx = points[i].x - a.x - u * (b.x - a.x);
      const dy = points[i].y - a.y - u * (b.y - a.y);
      const off = Math.hypot(dx, dy);
      if (off > worst) {
        worst = off;
        split = i;
      }
    }
    if (split < 0) continue;
    keep[split] = 1;
    stack.push([first, split], [split, last]);
  }
  return points.filter((_, i) => keep[i]);
}
