/**
 * Tracks in time: keys, easing, and the position at every frame. Python's `tora2.trajectory.sample`
 * decides results; this is the preview of the same numbers.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Easing} Easing
 * @typedef {import("./types.mjs").Vec} Vec
 * @typedef {import("./geometry.mjs").Path} Path
 *
 * @typedef {{width: number, height: number, frames: number}} Size
 * @typedef {{path: Path, along: Float64Array, x: Float64Array, y: Float64Array, fastest: number,
 *   speed: number}} Sampled
 *   at each frame the arc length `along` the path and the place `x`, `y` in px; `speed` is the largest step between visible frames, in px per frame,
 *   taken into frame `fastest`
 */
import { flatten, pointAt } from "./geometry.mjs";

/**
 * The fastest step, in frame widths per frame, that we call followable: the fastest path published
 * with Tora moves 71 px a frame at a width of 720.
 */
export const SPEED_LIMIT = 0.1;

/** @type {Record<Easing, (u: number) => number>} */
const EASINGS = {
  linear: (u) => u,
  in: (u) => u * u,
  out: (u) => 1 - (1 - u) * (1 - u),
  "in-out": (u) => (u < 0.5 ? 2 * u * u : 1 - 2 * (1 - u) * (1 - u)),
};

/**
 * @param {Easing} easing
 * @param {number} u in [0, 1]
 */
export function ease(easing, u) {
  return EASINGS[easing](u);
}

/**
 * The points that are tied to a frame: both ends always, inner ones where they say so.
 * @param {Track} track
 * @returns {{index: number, frame: number}[]}
 */
export function keysOf(track) {
  const last = track.points.length - 1;
  if (last === 0) return [{ index: 0, frame: track.start }];
  const keys = [{ index: 0, frame: track.start }];
  for (let index = 1; index < last; index++) {
    const frame = track.points[index].frame;
    if (frame !== undefined) keys.push({ index, frame });
  }
  keys.push({ index: last, frame: track.end });
  return keys;
}

/** @type {WeakMap<Track, {size: Size, sampled: Sampled}>} */
const cache = new WeakMap();

/**
 * Sample one track. Tracks are never changed in place, so the result is kept per track object.
 * @param {Track} track
 * @param {Size} size
 * @returns {Sampled}
 */
export function sampleTrack(track, size) {
  const known = cache.get(track);
  if (
    known &&
    known.size.width === size.width &&
    known.size.height === size.height &&
    known.size.frames === size.frames
  ) {
    return known.sampled;
  }
  const sampled = compute(track, size);
  const { width, height, frames } = size;
  cache.set(track, { size: { width, height, frames }, sampled });
  return sampled;
}

/**
 * @param {Track} track
 * @param {Size} size
 * @returns {Sampled}
 */
function compute(track, { width, height, frames }) {
  const path = flatten(
    track.points.map((p) => ({ x: p.x * width, y: p.y * height })),
    track.curve,
  );
  const keys = keysOf(track);
  const along = new Float64Array(frames);
  const x = new Float64Array(frames);
  const y = new Float64Array(frames);
  let span = 0;
  let fastest = track.start;
  let speed = 0;
  for (let frame = 0; frame < frames; frame++) {
    while (span + 2 < keys.length && keys[span + 1].frame < frame) span++;
    along[frame] = lengthAt(track, path, keys, span, frame);
    const at = pointAt(path, along[frame]);
    x[frame] = at.x;
    y[frame] = at.y;
    if (frame > track.start && frame <= track.end) {
      const step = Math.hypot(at.x - x[frame - 1], at.y - y[frame - 1]);
      if (step > speed) {
        speed = step;
        fastest = frame;
      }
    }
  }
  return { path, along, x, y, fastest, speed };
}

/**
 * @param {Track} track
 * @param {Path} path
 * @param {{index: number, frame: number}[]} keys
 * @param {number} span index of the key before the frame
 * @param {number} frame
 * @returns {number} arc length
 */
function lengthAt(track, path, keys, span, frame) {
  if (track.start === track.end || keys.length < 2) return 0;
  const a = keys[span];
  const b = keys[span + 1];
  const from = path.length[path.knots[a.index]];
  const to = path.length[path.knots[b.index]];
  if (frame > track.end) return to;
  if (frame <= a.frame) return from;
  return from + ease(track.easing, (frame - a.frame) / (b.frame - a.frame)) * (to - from);
}

/**
 * Where a track is at a frame, in px.
 * @param {Track} track
 * @param {Size} size
 * @param {number} frame
 * @returns {Vec}
 */
export function positionAt(track, size, frame) {
  const { x, y } = sampleTrack(track, size);
  const f = Math.min(size.frames - 1, Math.max(0, Math.round(frame)));
  return { x: x[f], y: y[f] };
}

/**
 * @param {Track} track
 * @param {number} frame
 */
export function visibleAt(track, frame) {
  return frame >= track.start && frame <= track.end;
}

/**
 * True where a track is faster than the model follows.
 * @param {Track} track
 * @param {Size} size
 */
export function tooFast(track, size) {
  return sampleTrack(track, size).speed > SPEED_LIMIT * size.width;
}

/**
 * The frame at which a track passes an arc length, the first one at or after it.
 * @param {Track} track
 * @param {Size} size
 * @param {number} length
 */
export function frameAtLength(track, size, length) {
  const { path } = sampleTrack(track, size);
  const keys = keysOf(track);
  for (let span = 0; span + 1 < keys.length; span++) {
    const from = path.length[path.knots[keys[span].index]];
    const to = path.length[path.knots[keys[span + 1].index]];
    if (length > to && span + 2 < keys.length) continue;
    if (to <= from) return keys[span].frame;
    const target = Math.min(1, Math.max(0, (length - from) / (to - from)));
    let low = 0;
    let high = 1;
    for (let i = 0; i < 30; i++) {
      const middle = (low + high) / 2;
      if (ease(track.easing, middle) < target) low = middle;
      else high = middle;
    }
    return keys[span].frame + high * (keys[span + 1].frame - keys[span].frame);
  }
  return track.start;
}
