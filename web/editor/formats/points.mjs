/**
 * The point lists of KJNodes, Wan and LTXV.
 *
 * @typedef {import("./runs.mjs").Canvas} Canvas
 */
import { LIMITS } from "../model/document.mjs";
import { DocumentError, finite, isObject, keys, list, show } from "../model/fields.mjs";
import { fromRuns } from "./runs.mjs";

/** Objects and lists in one text; each takes many times the memory of its characters. */
const MAX_CONTAINERS = 1_000_000;

/**
 * JSON, or a Python literal without a double quote in it, as older nodes write lists. In TRACKS, NaN
 * and Infinity, which Python writes, become null.
 * @param {string} text
 * @returns {unknown}
 */
export function parseJson(text) {
  const json = text.includes('"') ? text : text.replaceAll("'", '"');
  let containers = 0;
  for (let i = 0; i < json.length; i++) if ("[{".includes(json[i])) containers++;
  if (containers > MAX_CONTAINERS) {
    const expected = `expected at most ${MAX_CONTAINERS}`;
    throw new DocumentError(`${containers} objects and lists, ${expected}`);
  }
  const attempts = [() => json];
  if (json.includes("track_path")) {
    attempts.push(() => json.replace(/-?\bInfinity\b|\bNaN\b/g, "null"));
  }
  for (const attempt of attempts) {
    try {
      return JSON.parse(attempt());
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
    }
  }
  throw new DocumentError(`this is not JSON: ${show(text)}`);
}

/**
 * `[[{"x", "y"}, …], …]`: a list a track, a point for every frame. A point may be a pair, a single
 * track may stand bare, and a list of texts holds one or more tracks in each.
 * @param {unknown[]} value
 * @param {Canvas} canvas
 */
export function fromPoints(value, canvas) {
  const texts = value.length > 0 && value.every((item) => typeof item === "string");
  const lists = texts
    ? list(value, "the list of texts", 0, LIMITS.tracks).flatMap((text, i) =>
        tracksIn(parseJson(/** @type {string} */ (text)), `the track in text ${i}`),
      )
    : tracksIn(value, "the list of tracks");
  const runs = list(lists, "the list of tracks", 0, LIMITS.tracks).map((track, n) =>
    list(track, `[${n}]`, 1, LIMITS.frames).map((point, frame) => {
      /** @type {[number, number, number]} */
      const place = [frame, ...xy(point, `[${n}][${frame}]`)];
      return place;
    }),
  );
  return fromRuns(runs, Math.max(1, ...runs.map((run) => run.length)), canvas);
}

/** @param {unknown} value @param {string} path */
function tracksIn(value, path) {
  const items = list(value, path, 0, LIMITS.tracks * LIMITS.frames);
  const [first] = items;
  const pair =
    Array.isArray(first) && first.length && (first[0] === null || typeof first[0] !== "object");
  return pair || isObject(first) ? [items] : items;
}

/** @param {unknown} point @param {string} path @returns {[number, number]} */
function xy(point, path) {
  if (Array.isArray(point)) {
    const [x, y] = list(point, path, 2, 2);
    return [finite(x, `${path}[0]`), finite(y, `${path}[1]`)];
  }
  const { x, y } = keys(point, path, ["x", "y"], []);
  return [finite(x, `${path}.x`), finite(y, `${path}.y`)];
}
