/**
 * The host's TRACKS, out of JSON or an .npz.
 *
 * @typedef {import("./npz.mjs").Numbers} Numbers
 * @typedef {import("./runs.mjs").Canvas} Canvas
 * @typedef {import("./runs.mjs").Run} Run
 */
import { LIMITS } from "../model/document.mjs";
import { DocumentError } from "../model/fields.mjs";
import { together } from "./arrays.mjs";
import { fromRuns } from "./runs.mjs";

/**
 * The host's TRACKS: `track_path` [T, N, 2] and `track_visibility` [T, N].
 * @param {Record<string, Numbers>} tracks
 * @param {Canvas} canvas
 */
export function fromTracks({ track_path: given, track_visibility: seenIn }, canvas) {
  const batched = given?.shape.length === 4 && given.shape[3] === 2;
  const path = batched ? together(given) : given;
  const visibility = batched && seenIn?.shape.length === 3 ? together(seenIn) : seenIn;
  if (!path) throw new DocumentError("TRACKS without track_path");
  const [frames, count, two] = path.shape;
  if (path.shape.length !== 3 || two !== 2) {
    throw new DocumentError(`track_path has the shape (${path.shape}), expected [T, N, 2]`);
  }
  if (frames > LIMITS.frames || count > LIMITS.tracks) {
    const expected = `expected at most ${LIMITS.frames} frames and ${LIMITS.tracks} tracks`;
    throw new DocumentError(`track_path has the shape (${path.shape}), ${expected}`);
  }
  const seen = visibility ?? {
    shape: [frames, count],
    values: new Uint8Array(frames * count).fill(1),
  };
  if (seen.shape.length !== 2 || seen.shape[0] !== frames || seen.shape[1] !== count) {
    const expected = `expected (${frames},${count}), that of track_path`;
    throw new DocumentError(`track_visibility has the shape (${seen.shape}), ${expected}`);
  }
  /** @type {Run[]} */
  const runs = [];
  for (let n = 0; n < count; n++) {
    for (let f = 0, before = false; f < frames; f++) {
      const at = f * count + n;
      const now = seen.values[at] > 0.5;
      if (now && !before && runs.push([]) > LIMITS.tracks) {
        throw new DocumentError(`more than ${LIMITS.tracks} tracks, expected at most that many`);
      }
      if (now) runs[runs.length - 1].push([f, path.values[2 * at], path.values[2 * at + 1]]);
      before = now;
    }
  }
  return fromRuns(runs, frames, canvas);
}

/**
 * The arrays of TRACKS as JSON.
 * @param {Record<string, unknown>} value
 * @returns {Record<string, Numbers>}
 */
export function arraysIn({ track_path: path, track_visibility: visibility }) {
  const arrays = { track_path: numbers(path, "track_path") };
  if (visibility === undefined || visibility === null) return arrays;
  return { ...arrays, track_visibility: numbers(visibility, "track_visibility") };
}

/**
 * Nested lists of numbers; null is none, like NaN, and a text is not a number.
 * @param {unknown} value
 * @param {string} name
 * @returns {Numbers}
 */
function numbers(value, name) {
  const shape = [];
  for (let level = value; Array.isArray(level) && shape.length < 4; level = level[0]) {
    shape.push(level.length);
  }
  /** @type {unknown[]} */
  let level = [value];
  for (const size of shape) {
    if (!level.every((item) => Array.isArray(item) && item.length === size)) {
      throw new DocumentError(`${name} is not an array of numbers`);
    }
    level = level.flat();
  }
  if (
    !level.every((item) => item === null || typeof item === "number" || typeof item === "boolean")
  ) {
    throw new DocumentError(`${name} is not an array of numbers`);
  }
  return {
    shape,
    values: Float64Array.from(level, (item) => (item === null ? NaN : Number(item))),
  };
}
