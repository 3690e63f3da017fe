/**
 * Where the frame lies on the canvas. Three spaces: fractions of the frame (the document), px (the
 * document's pixels) and css (pixels of the canvas element, before any zoom of the graph).
 *
 * @typedef {import("./types.mjs").Viewport} Viewport
 * @typedef {import("./types.mjs").Vec} Vec
 * @typedef {{width: number, height: number}} Extent
 */
import { bounds } from "./geometry.mjs";

const MARGIN = 0.06;
const MIN_SCALE = 0.02;
const MAX_SCALE = 64;

/**
 * The whole frame in the middle of the canvas, with room for paths that leave it.
 * @param {Extent} frame
 * @param {Extent} canvas
 * @returns {Viewport}
 */
export function fit(frame, canvas) {
  const room = 1 - 2 * MARGIN;
  const scale = Math.max(
    MIN_SCALE,
    Math.min((canvas.width * room) / frame.width, (canvas.height * room) / frame.height),
  );
  return {
    scale,
    x: (canvas.width - frame.width * scale) / 2,
    y: (canvas.height - frame.height * scale) / 2,
  };
}

/**
 * The frame with all points of a document.
 * @param {import("./types.mjs").Doc} doc
 * @param {Extent} canvas
 * @returns {Viewport | null} null where that is the frame
 */
export function fitAll(doc, canvas) {
  const { width, height } = doc;
  const corners = [
    { x: 0, y: 0 },
    { x: 1, y: 1 },
  ];
  const box = bounds([...corners, ...doc.tracks.flatMap((track) => track.points)]);
  if (!box || (box.right - box.left === 1 && box.bottom - box.top === 1)) return null;
  const extent = { width: (box.right - box.left) * width, height: (box.bottom - box.top) * height };
  const view = fit(extent, canvas);
  return panned(view, { x: -box.left * width * view.scale, y: -box.top * height * view.scale });
}

/**
 * @param {Viewport} view
 * @param {Vec} css
 * @returns {Vec}
 */
export function toPx(view, css) {
  return { x: (css.x - view.x) / view.scale, y: (css.y - view.y) / view.scale };
}

/**
 * @param {Viewport} view
 * @param {Vec} px
 * @returns {Vec}
 */
export function toCss(view, px) {
  return { x: px.x * view.scale + view.x, y: px.y * view.scale + view.y };
}

/**
 * Zoom so that the place under `css` stays where it is.
 * @param {Viewport} view
 * @param {Vec} css
 * @param {number} factor
 * @returns {Viewport}
 */
export function zoomed(view, css, factor) {
  const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: css.x - (css.x - view.x) * ratio, y: css.y - (css.y - view.y) * ratio };
}

/**
 * @param {Viewport} view
 * @param {Vec} by css
 * @returns {Viewport}
 */
export function panned(view, by) {
  return { ...view, x: view.x + by.x, y: view.y + by.y };
}
