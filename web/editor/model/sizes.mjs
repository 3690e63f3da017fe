/**
 * How large an entity is shown along its path.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 */
import { frameAtLength, sampleTrack } from "./sampling.mjs";

/** The side of an entity of size 1, of the shorter side of the frame. */
const SIDE = 0.25;
/** Along a path it is shown about this often. */
const SHOWN = 6;

/** @param {Doc} doc @returns {number} px */
export function sideOf({ width, height }) {
  return SIDE * Math.min(width, height);
}

/**
 * The size at a control point.
 * @param {Doc} doc
 * @param {Track} track
 * @param {number} index
 */
export function scaleAt(doc, track, index) {
  const { scale } = track.points[index];
  if (scale !== undefined) return scale;
  const sampled = sampleTrack(track, doc);
  return sampled.scale[frameOfPoint(doc, track, index)];
}

/** The frame at which a track passes a control point. @param {Doc} doc @param {Track} track @param {number} index */
export function frameOfPoint(doc, track, index) {
  const { points, start, end } = track;
  if (index === 0) return start;
  if (index === points.length - 1) return end;
  const { path } = sampleTrack(track, doc);
  const frame = points[index].frame ?? frameAtLength(track, doc, path.length[path.knots[index]]);
  return Math.min(end, Math.max(start, Math.round(frame)));
}

/** The frames at which a track's entity is shown along its path. @param {Track} track */
export function shownFrames({ start, end }) {
  const count = Math.min(SHOWN, end - start);
  const frames = Array.from({ length: count + 1 }, (_, i) =>
    Math.round(start + (i * (end - start)) / Math.max(1, count)),
  );
  return [...new Set(frames)];
}
