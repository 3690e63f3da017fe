/**
 * Paints the control points of one track.
 *
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("./canvas.mjs").Surface} Surface
 */
import { toCss } from "../model/viewport.mjs";

/** Every point of every track is drawn as a handle up to here; beyond, those that are selected. */
const MANY_POINTS = 400;

/**
 * Control points; a point tied to a frame is a diamond, an anchor a ring with a cross.
 * @param {Surface} surface
 * @param {Track} track
 * @param {string} color
 * @param {Set<number> | undefined} chosen
 */
export function paintPoints(surface, track, color, chosen) {
  const { context, state, view, theme } = surface;
  const { width, height } = state.doc;
  if (track.points.length === 1) return paintAnchor(surface, track, color, chosen);
  const count = state.doc.tracks.reduce((sum, t) => sum + t.points.length, 0);
  if (!chosen && count > MANY_POINTS) return;
  for (const active of chosen ? [false, true] : [false]) {
    const r = chosen ? (active ? 5 : 4) : 3;
    context.beginPath();
    track.points.forEach((point, i) => {
      if ((chosen?.has(i) ?? false) !== active) return;
      const x = point.x * width * view.scale + view.x;
      const y = point.y * height * view.scale + view.y;
      addPoint(context, x, y, r, point.frame !== undefined && i > 0 && i < track.points.length - 1);
    });
    context.fillStyle = active ? color : theme.handle;
    context.strokeStyle = active ? theme.handle : color;
    context.lineWidth = active ? 2 : 1.5;
    context.fill();
    context.stroke();
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} r
 * @param {boolean} key
 */
function addPoint(context, x, y, r, key) {
  if (!key) {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 2 * Math.PI);
    return;
  }
  context.moveTo(x, y - r - 2);
  context.lineTo(x + r + 2, y);
  context.lineTo(x, y + r + 2);
  context.lineTo(x - r - 2, y);
  context.closePath();
}

/**
 * @param {Surface} surface
 * @param {Track} track
 * @param {string} color
 * @param {Set<number> | undefined} chosen
 */
function paintAnchor({ context, state, view, theme }, track, color, chosen) {
  const { x, y } = toCss(view, {
    x: track.points[0].x * state.doc.width,
    y: track.points[0].y * state.doc.height,
  });
  const r = chosen ? 8 : 7;
  for (const [stroke, line] of /** @type {[string, number][]} */ ([
    [theme.halo, 4.5],
    [chosen ? theme.accent : color, 2.25],
  ])) {
    context.strokeStyle = stroke;
    context.lineWidth = line;
    context.beginPath();
    context.arc(x, y, r, 0, 2 * Math.PI);
    context.moveTo(x - r - 3, y);
    context.lineTo(x - r + 4, y);
    context.moveTo(x + r - 4, y);
    context.lineTo(x + r + 3, y);
    context.moveTo(x, y - r - 3);
    context.lineTo(x, y - r + 4);
    context.moveTo(x, y + r - 4);
    context.lineTo(x, y + r + 3);
    context.stroke();
  }
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, 2.5, 0, 2 * Math.PI);
  context.fill();
}
