/**
 * Bringing what other programs write into our clip, with as few points as show it.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {{x: number, y: number, frame: number}} Placed
 * @typedef {import("./runs.mjs").Foreign} Foreign
 * @typedef {{doc: Doc, lost: number}} Imported `lost`: points at the end of a Tora file that do
 *   not fit the frames
 */
import { DocumentError } from "../model/fields.mjs";
import { thinned } from "../model/geometry.mjs";
import { readBytes, readText } from "./foreign.mjs";
import { normalised } from "../model/tracks.mjs";

/** How far (px) a thinned track may be from the points it was given. */
const TOLERANCE = 0.25;

/**
 * A document of ours as it is, or the paths of any other format in our size and length.
 * @param {string} text
 * @param {Doc} doc gives the size and length
 * @returns {Imported}
 * @throws {DocumentError}
 */
export function importText(text, doc) {
  return placed(readText(text, doc), doc);
}

/**
 * The same of a file's content, which may be an .npz.
 * @param {ArrayBuffer} buffer
 * @param {Doc} doc
 * @returns {Promise<Imported>}
 * @throws {DocumentError}
 */
export async function importBytes(buffer, doc) {
  return placed(await readBytes(buffer, doc), doc);
}

/** @param {Foreign} foreign @param {Doc} ours @returns {Imported} */
function placed({ doc, own, lost }, ours) {
  if (own) return { doc, lost };
  if (!doc.tracks.length) throw new DocumentError("there are no tracks in it");
  const { width, height } = ours;
  const tracks = doc.tracks.map((track) => {
    const range = rangeIn(ours, track, doc.frames);
    const points = track.points.map(({ x, y, frame = 0 }) => ({
      x: x * width,
      y: y * height,
      frame,
    }));
    const kept = fewest(doc.frames === ours.frames ? points : atFrames(points, range));
    const fractions = kept.map(({ x, y, frame }) => ({ x: x / width, y: y / height, frame }));
    return normalised({ ...track, ...range, points: fractions });
  });
  return { doc: { ...ours, entities: [], tracks }, lost };
}

/**
 * When a track of a clip of `frames` is visible in ours: at the same fraction of it, as when a
 * document is resized. A clip of one frame says nothing of time, so what it holds is there throughout.
 * @param {Doc} doc
 * @param {Track} track
 * @param {number} frames
 */
function rangeIn(doc, { start, end }, frames) {
  const last = doc.frames - 1;
  if (frames === 1) return { start: 0, end: last };
  const at = (/** @type {number} */ frame) => Math.floor((frame * last) / (frames - 1) + 0.5);
  return { start: at(start), end: at(end) };
}

/**
 * The place at every frame of a range that the whole of the points is spread over.
 * @param {Placed[]} points px
 * @param {{start: number, end: number}} range
 * @returns {Placed[]}
 */
function atFrames(points, { start, end }) {
  const first = points[0].frame;
  const scale = end > start ? (points[points.length - 1].frame - first) / (end - start) : 0;
  let i = 0;
  return Array.from({ length: end - start + 1 }, (_, n) => {
    const time = first + n * scale;
    while (i + 2 < points.length && points[i + 1].frame <= time) i++;
    const [a, b] = [points[i], points[Math.min(i + 1, points.length - 1)]];
    const u = b.frame > a.frame ? Math.min(1, (time - a.frame) / (b.frame - a.frame)) : 0;
    return { x: a.x + u * (b.x - a.x), y: a.y + u * (b.y - a.y), frame: start + n };
  });
}

/**
 * Keep the points that straight, even motion between the kept ones would miss by more than the
 * tolerance, and a single one of a track that rests.
 * @param {Placed[]} points px
 */
function fewest(points) {
  if (points.every(({ x, y }) => x === points[0].x && y === points[0].y)) return points.slice(0, 1);
  return thinned(points, TOLERANCE ** 2, (point, a, b) => {
    const u = (point.frame - a.frame) / (b.frame - a.frame);
    const dx = point.x - a.x - u * (b.x - a.x);
    const dy = point.y - a.y - u * (b.y - a.y);
    return dx * dx + dy * dy;
  });
}
