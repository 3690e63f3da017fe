/**
 * Edits of when a track is where: starts and ends, keys, direction, length of the clip.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Pair} Pair
 */
import { LIMITS } from "./document.mjs";
import { turned } from "./easing.mjs";
import { mapTracks, normalised, untied } from "./tracks.mjs";

/**
 * Tie a point to a frame, or untie it with null. Ends move the track's start or end.
 * @param {Doc} doc
 * @param {string} id
 * @param {number} index
 * @param {number | null} frame clamped between the neighbouring keys
 * @returns {Doc}
 */
export function setKey(doc, id, index, frame) {
  return mapTracks(doc, [id], (track) => {
    const last = track.points.length - 1;
    if (frame !== null && index === 0) return withEnds(track, frame, track.end);
    if (frame !== null && index === last) return withEnds(track, track.start, frame);
    const points = track.points.slice();
    const point = points[index];
    if (frame === null) {
      points[index] = untied(point);
      return { ...track, points };
    }
    const [low, high] = keyRange(track, index);
    if (low > high) return track;
    points[index] = { ...point, frame: Math.min(high, Math.max(low, Math.round(frame))) };
    return { ...track, points };
  });
}

/**
 * The frames an inner point may be tied to.
 * @param {Track} track
 * @param {number} index
 * @returns {[number, number]}
 */
function keyRange(track, index) {
  let low = track.start + 1;
  let high = track.end - 1;
  track.points.forEach(({ frame }, i) => {
    if (frame === undefined || i === 0 || i === track.points.length - 1) return;
    if (i < index) low = Math.max(low, frame + 1);
    if (i > index) high = Math.min(high, frame - 1);
  });
  return [low, high];
}

/**
 * Tie both ends to frames; inner keys hold theirs and bound them.
 * @param {Track} track
 * @param {number} start
 * @param {number} end
 * @returns {Track}
 */
function withEnds(track, start, end) {
  const inner = track.points.slice(1, -1).flatMap((p) => (p.frame === undefined ? [] : [p.frame]));
  const first = inner.length ? inner[0] - 1 : Infinity;
  const last = inner.length ? inner[inner.length - 1] + 1 : 0;
  const from = Math.max(0, Math.min(Math.round(start), first, track.end));
  const to = Math.max(Math.round(end), last, from);
  return { ...track, start: from, end: to };
}

/**
 * Set when a track is visible. Its keys keep their share of that time; where there are more of them
 * than frames, those that would fall on one another are let go.
 * @param {Track} track
 * @param {number} start
 * @param {number} end
 * @returns {Track}
 */
export function withRange(track, start, end) {
  const from = Math.max(0, Math.min(Math.round(start), track.end));
  const to = Math.max(Math.round(end), from);
  if (from === track.start && to === track.end) return track;
  const scale = track.end > track.start ? (to - from) / (track.end - track.start) : 0;
  const last = track.points.length - 1;
  const tied = (/** @type {number} */ i) =>
    i > 0 && i < last && track.points[i].frame !== undefined;
  let after = track.points.filter((_, i) => tied(i)).length;
  const room = to - from - 1 >= after;
  let free = from + 1;
  const points = track.points.map((point, i) => {
    if (!tied(i)) return point;
    after--;
    const { frame = 0 } = point;
    const wanted = Math.round(from + (frame - track.start) * scale);
    const next = room ? Math.max(free, Math.min(wanted, to - 1 - after)) : wanted;
    if (next < free || next >= to) return untied(point);
    free = next + 1;
    return { ...point, frame: next };
  });
  const at = (/** @type {number} */ f) => from + (f - track.start) * scale;
  return { ...track, start: from, end: to, points, ...hiddenAt(track, at) };
}

/**
 * A track's hidden stretches at other frames; those that touch become one, and those that leave the
 * clip are let go.
 * @param {Track} track
 * @param {(frame: number) => number} at
 * @param {number} [frames] of the clip
 * @returns {Partial<Track>}
 */
function hiddenAt({ hidden }, at, frames = LIMITS.frames) {
  if (!hidden) return {};
  /** @type {Pair[]} */
  const result = [];
  for (const span of hidden) {
    const first = Math.max(0, Math.floor(at(span[0]) + 0.5));
    const last = Math.min(frames - 1, Math.floor(at(span[1]) + 0.5));
    if (last < first) continue;
    const before = result[result.length - 1];
    if (before && first <= before[1]) before[1] = Math.max(before[1], last);
    else result.push([first, last]);
  }
  return { hidden: result };
}

/**
 * Shift a track in time, keys and all, within the clip.
 * @param {Track} track
 * @param {number} by frames
 * @param {number} frames of the clip
 * @returns {Track}
 */
export function shifted(track, by, frames) {
  const step = Math.max(-track.start, Math.min(frames - 1 - track.end, Math.round(by)));
  if (step === 0) return track;
  const points = track.points.map((p) =>
    p.frame === undefined ? p : { ...p, frame: p.frame + step },
  );
  const hidden = hiddenAt(track, (f) => f + step, frames);
  return { ...track, start: track.start + step, end: track.end + step, points, ...hidden };
}

/**
 * What dragging a track's bar does: it is shifted; one that fills the clip has no way to go, so it
 * begins later, or ends earlier.
 * @param {Track} track
 * @param {number} by frames
 * @param {number} frames of the clip
 * @returns {Track}
 */
export function slid(track, by, frames) {
  if (track.start > 0 || track.end < frames - 1) return shifted(track, by, frames);
  return by > 0 ? withRange(track, by, track.end) : withRange(track, 0, track.end + by);
}

/**
 * Make a track not visible from one frame to another, or visible again.
 * @param {Track} track
 * @param {number} from
 * @param {number} to
 * @param {boolean} gone
 * @returns {Track}
 */
export function withHidden(track, from, to, gone) {
  const [first, last] = [Math.round(Math.min(from, to)), Math.round(Math.max(from, to))];
  /** @type {Pair[]} */
  let spans = [];
  for (const [a, b] of track.hidden ?? []) {
    if (a < first) spans.push([a, Math.min(b, first - 1)]);
    if (b > last) spans.push([Math.max(a, last + 1), b]);
  }
  if (gone) spans.push([Math.max(0, first), Math.max(0, last)]);
  spans.sort(([a], [b]) => a - b);
  spans = spans.reduce((done, span) => {
    const before = done[done.length - 1];
    if (before && span[0] <= before[1] + 1) before[1] = Math.max(before[1], span[1]);
    else done.push([...span]);
    return done;
  }, /** @type {Pair[]} */ ([]));
  return { ...track, hidden: spans.slice(0, LIMITS.hidden) };
}

/**
 * When a track moves and how, without where: what is copied and pasted.
 * @typedef {Pick<Track, "start" | "end" | "easing" | "before" | "after" | "hidden">} Timing
 * @param {Track} track
 * @returns {Timing}
 */
export function timingOf({ start, end, easing, before, after, hidden }) {
  return { start, end, easing, before, after, hidden };
}

/**
 * A track with the timing of another; its keys keep their share of its time.
 * @param {Track} track
 * @param {Timing} timing
 * @param {number} frames of the clip
 * @returns {Track}
 */
export function timed(track, timing, frames) {
  const last = frames - 1;
  const end = Math.min(timing.end, last);
  const moved = withRange({ ...track, hidden: undefined }, 0, end);
  return {
    ...withRange(moved, Math.min(timing.start, end), end),
    easing: timing.easing,
    before: timing.before,
    after: timing.after,
    hidden: timing.hidden,
  };
}

/**
 * Run a track backwards: the same places in the opposite order and time.
 * @param {Track} track
 * @returns {Track}
 */
export function reversed(track) {
  const mirrored = (/** @type {number} */ frame) => track.start + track.end - frame;
  const points = track.points
    .map(({ arrive, leave, ...p }) => ({
      ...p,
      ...(p.frame === undefined ? {} : { frame: mirrored(p.frame) }),
      ...(leave && { arrive: leave }),
      ...(arrive && { leave: arrive }),
    }))
    .reverse();
  const { before, after, hidden, ...rest } = track;
  /** @type {Pair[] | undefined} */
  const spans = hidden?.map(([a, b]) => /** @type {Pair} */ ([mirrored(b), mirrored(a)])).reverse();
  return {
    ...rest,
    points,
    easing: turned(track.easing),
    ...(after && { before: after }),
    ...(before && { after: before }),
    ...hiddenAt({ ...track, hidden: spans }, (f) => f),
  };
}

/**
 * Give a document another size and length. Points keep their fractions of the frame, times keep
 * their fraction of the clip; keys that would fall on one another are let go.
 * @param {Doc} doc
 * @param {{width?: number, height?: number, frames?: number}} size
 * @returns {Doc}
 */
export function resized(doc, { width = doc.width, height = doc.height, frames = doc.frames }) {
  if (width === doc.width && height === doc.height && frames === doc.frames) return doc;
  if (frames === doc.frames) return { ...doc, width, height };
  const scale = doc.frames > 1 ? (frames - 1) / (doc.frames - 1) : 0;
  const at = (/** @type {number} */ frame) => Math.floor(frame * scale + 0.5);
  const tracks = doc.tracks.map((track) =>
    normalised({
      ...track,
      start: at(track.start),
      end: at(track.end),
      points: track.points.map((p) => (p.frame === undefined ? p : { ...p, frame: at(p.frame) })),
      ...hiddenAt(track, (f) => f * scale, frames),
    }),
  );
  const camera = doc.camera && {
    ...doc.camera,
    keys: [...new Map(doc.camera.keys.map((key) => [at(key.frame), key]))].map(([frame, key]) => ({
      ...key,
      frame,
    })),
  };
  return { ...doc, width, height, frames, tracks, ...(camera && { camera }) };
}
