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
 * @typedef {{path: Path, along: Float64Array, x: Float64Array, y: Float64Array,
 *   scale: Float64Array, fastest: number, speed: number}} Sampled
 *   at each frame the arc length `along` the path, the place `x`, `y` in px and the size of the
 *   entity; `speed` is the largest step between visible frames, in px per frame,
 *   taken into frame `fastest`
 */
import { ease } from "./easing.mjs";
import { flatten, pointAt } from "./geometry.mjs";

export { ease };

/**
 * The fastest step, in frame widths per frame, that we call followable: the fastest path published
 * with Tora moves 71 px a frame at a width of 720.
 */
export const SPEED_LIMIT = 0.1;

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
  const path = flatten(bends(track, width, height), track.curve, undefined, track.tension);
  const keys = keysOf(track);
  const along = new Float64Array(frames);
  const sized = sizesOf(track, path, keys);
  const scale = new Float64Array(frames).fill(1);
  const x = new Float64Array(frames);
  const y = new Float64Array(frames);
  let span = 0;
  let fastest = track.start;
  let speed = 0;
  for (let frame = 0; frame < frames; frame++) {
    while (span + 2 < keys.length && keys[span + 1].frame < frame) span++;
    const eased = easedAt(track, keys, span, frame);
    along[frame] = lengthAt(path, keys, span, eased);
    if (sized) scale[frame] = sized(span + eased);
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
  return { path, along, x, y, scale, fastest, speed };
}

/**
 * The control points in px.
 * @param {Track} track
 * @param {number} width
 * @param {number} height
 * @returns {import("./geometry.mjs").Bend[]}
 */
export function bends({ points }, width, height) {
  return points.map(({ x, y, arrive, leave }) => {
    /** @type {import("./geometry.mjs").Bend} */
    const bend = { x: x * width, y: y * height };
    if (arrive) bend.arrive = [arrive[0] * width, arrive[1] * height];
    if (leave) bend.leave = [leave[0] * width, leave[1] * height];
    return bend;
  });
}

/**
 * How a track's size follows from how far it has come, in spans between keys: it changes evenly along
 * the path between the points that give it; where the path has no length, they share its time.
 * @param {Track} track
 * @param {Path} path
 * @param {{index: number, frame: number}[]} keys
 * @returns {((progress: number) => number) | null} null where no point gives one
 */
function sizesOf(track, path, keys) {
  const { points } = track;
  const given = points.flatMap(({ scale }, index) =>
    scale === undefined ? [] : [{ scale, place: placeOf(track, path, keys, index) }],
  );
  if (!given.length) return null;
  return (progress) => {
    let i = given.length - 1;
    while (i >= 0 && given[i].place > progress) i--;
    const [a, b] = [given[i], given[i + 1]];
    if (!a) return b.scale;
    if (!b) return a.scale;
    return a.scale + ((progress - a.place) / (b.place - a.place)) * (b.scale - a.scale);
  };
}

/**
 * Where among the keys a control point lies: 1.5 is halfway from key 1 to 2.
 * @param {Track} track
 * @param {Path} path
 * @param {{index: number, frame: number}[]} keys
 * @param {number} index
 */
function placeOf(track, path, keys, index) {
  if (track.start === track.end || keys.length < 2) return index;
  let span = 0;
  while (span + 2 < keys.length && keys[span + 1].index <= index) span++;
  const [first, last] = [keys[span].index, keys[span + 1].index];
  const from = path.length[path.knots[first]];
  const whole = path.length[path.knots[last]] - from;
  const along = path.length[path.knots[index]] - from;
  return span + (whole > 0 ? along / whole : (index - first) / (last - first));
}

/**
 * How far a track has come from the key before a frame to the next.
 * @param {Track} track
 * @param {{index: number, frame: number}[]} keys
 * @param {number} span index of the key before the frame
 * @param {number} frame
 */
function easedAt(track, keys, span, frame) {
  if (track.start === track.end || keys.length < 2 || frame <= keys[span].frame) return 0;
  if (frame >= track.end) return 1;
  const [a, b] = [keys[span], keys[span + 1]];
  return ease(track.easing, (frame - a.frame) / (b.frame - a.frame));
}

/**
 * @param {Path} path
 * @param {{index: number, frame: number}[]} keys
 * @param {number} span index of the key before
 * @param {number} eased how far from it to the next
 * @returns {number} arc length
 */
function lengthAt(path, keys, span, eased) {
  if (eased === 0 && span === 0) return 0;
  const from = path.length[path.knots[keys[span].index]];
  const to = path.length[path.knots[keys[span + 1].index]];
  return eased === 1 ? to : from + eased * (to - from);
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
  if (frame < track.start && track.before !== "wait") return false;
  if (frame > track.end && track.after !== "wait") return false;
  return !track.hidden?.some(([first, last]) => frame >= first && frame <= last);
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
