/**
 * Paints an easing: progress over time, and behind it the speed that comes of it.
 *
 * @typedef {import("../model/types.mjs").Easing} Easing
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/types.mjs").Vec} Vec
 */
import { ease, handlesOf } from "../model/easing.mjs";
import { sampleTrack } from "../model/sampling.mjs";

const PAD = 12;
const STEPS = 60;

/** Progress over time under a place of the canvas. @param {{width: number, height: number}} size @param {Vec} css @returns {Vec} */
export function easingPlace({ width, height }, css) {
  return {
    x: (css.x - PAD) / (width - 2 * PAD),
    y: 1 - (css.y - PAD) / (height - 2 * PAD),
  };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{width: number, height: number}} size css
 * @param {import("./theme.mjs").Theme} theme
 * @param {Easing} easing
 * @param {Track | undefined} track
 * @param {import("../model/types.mjs").Doc} doc
 */
export function paintEasing(context, { width, height }, theme, easing, track, doc) {
  const at = (/** @type {number} */ u, /** @type {number} */ v) =>
    /** @type {[number, number]} */ ([
      PAD + u * (width - 2 * PAD),
      height - PAD - v * (height - 2 * PAD),
    ]);
  context.fillStyle = theme.surround;
  context.fillRect(0, 0, width, height);
  if (track) paintSpeed(context, theme, track, doc, at);
  context.strokeStyle = theme.border;
  context.lineWidth = 1;
  const [left, top] = at(0, 1);
  context.strokeRect(left, top, width - 2 * PAD, height - 2 * PAD);
  const [x1, y1, x2, y2] = handlesOf(easing);
  context.strokeStyle = theme.muted;
  context.beginPath();
  context.moveTo(...at(0, 0));
  context.lineTo(...at(x1, y1));
  context.moveTo(...at(1, 1));
  context.lineTo(...at(x2, y2));
  context.stroke();
  context.strokeStyle = theme.accent;
  context.lineWidth = 2.5;
  context.beginPath();
  for (let i = 0; i <= STEPS; i++) {
    const u = i / STEPS;
    if (i) context.lineTo(...at(u, ease(easing, u)));
    else context.moveTo(...at(0, 0));
  }
  context.stroke();
  context.fillStyle = theme.handle;
  context.strokeStyle = theme.accent;
  context.lineWidth = 1.5;
  for (const place of [at(x1, y1), at(x2, y2)]) {
    context.beginPath();
    context.arc(...place, 5, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./theme.mjs").Theme} theme
 * @param {Track} track
 * @param {import("../model/types.mjs").Doc} doc
 * @param {(u: number, v: number) => [number, number]} at
 */
function paintSpeed(context, theme, track, doc, at) {
  const { x, y, speed } = sampleTrack(track, doc);
  const { start, end } = track;
  if (end === start || speed === 0) return;
  context.fillStyle = theme.text;
  context.globalAlpha = 0.16;
  for (let f = start + 1; f <= end; f++) {
    const step = Math.hypot(x[f] - x[f - 1], y[f] - y[f - 1]) / speed;
    const [left, top] = at((f - 1 - start) / (end - start), step);
    const [right, bottom] = at((f - start) / (end - start), 0);
    context.fillRect(left + 0.5, top, right - left - 1, bottom - top);
  }
  context.globalAlpha = 1;
  context.fillStyle = theme.muted;
  context.font = theme.font;
  context.textAlign = "right";
  context.textBaseline = "bottom"; // no easing passes the lower right
  const [right, bottom] = at(1, 0);
  context.fillText(`≤ ${speed.toFixed(1)} px / frame`, right - 4, bottom - 3);
}
