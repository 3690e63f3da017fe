/**
 * What lies under the pointer.
 *
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/types.mjs").Box} Box
 * @typedef {import("../model/types.mjs").Viewport} Viewport
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/store.mjs").State} State
 *
 * @typedef {{kind: "point", track: Track, index: number}
 *   | {kind: "path", track: Track, length: number, segment: number}} Hit
 * @typedef {"nw" | "ne" | "se" | "sw" | "rotate"} Grip
 */
import { bounds, nearest } from "../model/geometry.mjs";
import { editableSelection, isEditable } from "../model/layers.mjs";
import { sampleTrack } from "../model/sampling.mjs";
import { selectedPoints } from "../model/tracks.mjs";
import { toCss, toPx } from "../model/viewport.mjs";

/** Radius of a target in css pixels: a 12 px disc for a mouse, larger for a finger. */
export const REACH = Object.freeze({ mouse: 8, pen: 10, touch: 18 });
/** A graph that is shown smaller than this has no larger targets. */
const SMALLEST = 0.2;
const BOX_PADDING = 12;
const ROTATE_ABOVE = 22;

/** How much larger targets are where the page shows the canvas smaller. @param {{zoom?: number}} press */
export function widening({ zoom = 1 }) {
  return 1 / Math.min(1, Math.max(SMALLEST, zoom));
}

/** @param {{pointer: keyof typeof REACH, zoom?: number}} press @returns {number} css */
export function reachOf(press) {
  return REACH[press.pointer] * widening(press);
}

/**
 * @param {State} state
 * @param {Viewport} view
 * @param {Vec} css
 * @param {number} reach css
 * @param {(state: State, track: Track) => boolean} [among] which tracks count: those that may be
 *   changed, or those that are seen
 * @returns {Hit | null} points before paths, selected tracks before others
 */
export function hitTest(state, view, css, reach, among = isEditable) {
  const px = toPx(view, css);
  const radius = reach / view.scale;
  const tracks = state.doc.tracks.filter((track) => among(state, track)).reverse();
  tracks.sort((a, b) => Number(state.selection.has(b.id)) - Number(state.selection.has(a.id)));
  return pointUnder(state, tracks, px, radius) ?? pathUnder(state, tracks, px, radius);
}

/**
 * @param {State} state
 * @param {Track[]} tracks
 * @param {Vec} px
 * @param {number} radius
 * @returns {Hit | null}
 */
function pointUnder(state, tracks, px, radius) {
  const { width, height } = state.doc;
  let best = null;
  let off = radius;
  for (const track of tracks) {
    track.points.forEach((point, index) => {
      const d = Math.hypot(point.x * width - px.x, point.y * height - px.y);
      if (d < off) {
        off = d;
        best = /** @type {Hit} */ ({ kind: "point", track, index });
      }
    });
    if (best && state.selection.has(track.id)) return best;
  }
  return best;
}

/**
 * @param {State} state
 * @param {Track[]} tracks
 * @param {Vec} px
 * @param {number} radius
 * @returns {Hit | null}
 */
function pathUnder(state, tracks, px, radius) {
  let best = null;
  let off = radius;
  for (const track of tracks) {
    if (track.points.length < 2) continue;
    const found = nearest(sampleTrack(track, state.doc).path, px);
    if (found.distance < off) {
      off = found.distance;
      best = /** @type {Hit} */ ({
        kind: "path",
        track,
        length: found.length,
        segment: found.segment,
      });
    }
  }
  return best;
}

/**
 * The box around the selection in css, when there is something to scale or turn.
 * @param {State} state
 * @param {Viewport} view
 * @returns {Box | null}
 */
export function selectionBox(state, view) {
  if (state.tool !== "select" || state.readOnly) return null;
  const points = selectedPoints(state.doc, editableSelection(state));
  const box = points.length > 1 ? bounds(points) : null;
  if (!box) return null;
  const { width, height } = state.doc;
  const a = toCss(view, { x: box.left * width, y: box.top * height });
  const b = toCss(view, { x: box.right * width, y: box.bottom * height });
  return {
    left: a.x - BOX_PADDING,
    top: a.y - BOX_PADDING,
    right: b.x + BOX_PADDING,
    bottom: b.y + BOX_PADDING,
  };
}

/**
 * @param {Box} box
 * @returns {Record<Grip, Vec>}
 */
export function gripsOf(box) {
  return {
    nw: { x: box.left, y: box.top },
    ne: { x: box.right, y: box.top },
    se: { x: box.right, y: box.bottom },
    sw: { x: box.left, y: box.bottom },
    rotate: { x: (box.left + box.right) / 2, y: box.top - ROTATE_ABOVE },
  };
}

/**
 * @param {Box | null} box
 * @param {Vec} css
 * @param {number} reach
 * @returns {Grip | null}
 */
export function gripUnder(box, css, reach) {
  if (!box) return null;
  for (const [grip, at] of Object.entries(gripsOf(box))) {
    if (Math.hypot(at.x - css.x, at.y - css.y) < reach) return /** @type {Grip} */ (grip);
  }
  return null;
}
