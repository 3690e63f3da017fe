/**
 * What can be taken at the selected points beside the points themselves: the ends of their Bezier
 * handles, and the corners of the boxes that show how large the entity is there.
 *
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/types.mjs").Viewport} Viewport
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {{kind: "arrive" | "leave" | "size", track: string, index: number, css: Vec, from: Vec}} PointGrip
 *   `from` is the point, in css
 */
import { isEditable } from "../model/layers.mjs";
import { frameOfPoint, heightOf, scaleAt } from "../model/sizes.mjs";
import { toCss } from "../model/viewport.mjs";

/** With more selected points than this they would hide the picture. */
const MANY = 48;

/**
 * @param {State} state
 * @param {Viewport} view
 * @returns {PointGrip[]}
 */
export function pointGrips(state, view) {
  const { doc, selection, sizes } = state;
  /** @type {PointGrip[]} */
  const result = [];
  for (const track of doc.tracks) {
    const chosen = selection.get(track.id);
    if (!chosen || chosen.size > MANY || !isEditable(state, track)) continue;
    for (const index of chosen) {
      const point = track.points[index];
      const place = (/** @type {number} */ dx, /** @type {number} */ dy) =>
        toCss(view, { x: (point.x + dx) * doc.width, y: (point.y + dy) * doc.height });
      const from = place(0, 0);
      for (const kind of /** @type {const} */ (["arrive", "leave"])) {
        const handle = track.curve === "spline" ? point[kind] : undefined;
        if (handle) result.push({ kind, track: track.id, index, css: place(...handle), from });
      }
      if (!sizes) continue;
      const high = heightOf(state, track, frameOfPoint(doc, track, index));
      const half = (high * scaleAt(doc, track, index) * view.scale) / 2;
      const css = { x: from.x + half, y: from.y + half };
      result.push({ kind: "size", track: track.id, index, css, from });
    }
  }
  return result;
}

/**
 * @param {State} state
 * @param {Viewport} view
 * @param {Vec} css
 * @param {number} reach
 */
export function pointGripUnder(state, view, css, reach) {
  return pointGrips(state, view).find(
    (grip) => Math.hypot(grip.css.x - css.x, grip.css.y - css.y) < reach,
  );
}
