/**
 * Paints the timeline: a ruler in frames and seconds, and a bar for every track with its keys.
 *
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {import("./theme.mjs").Theme} Theme
 * @typedef {import("../controller/timelinehit.mjs").Strip} Strip
 */
import { frameToX, LABEL, ROW, rowsOf, RULER } from "../controller/timelinehit.mjs";
import { colorsOf } from "../model/entities.mjs";
import { titleOf } from "../model/tracks.mjs";
import { keysOf, tooFast } from "../model/sampling.mjs";

/**
 * @param {CanvasRenderingContext2D} context scaled to css pixels
 * @param {State} state
 * @param {Theme} theme
 * @param {Strip} strip
 * @param {import("../model/motion.mjs").Motion} motion
 */
export function paintTimeline(context, state, theme, strip, motion) {
  context.fillStyle = theme.surround;
  context.fillRect(0, 0, strip.width, strip.height);
  context.save();
  context.beginPath();
  context.rect(0, RULER, strip.width, strip.height - RULER);
  context.clip();
  const colors = colorsOf(state.doc);
  rowsOf(state).forEach((track, i) => {
    const top = RULER + i * ROW - strip.scroll;
    if (top > strip.height || top + ROW < RULER) return;
    const color = colors.get(track.id) ?? theme.accent;
    const warned = !motion.heavy && tooFast(track, state.doc);
    paintRow(context, state, theme, strip, track, top, color, warned);
  });
  context.restore();
  paintRuler(context, state, theme, strip);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {State} state
 * @param {Theme} theme
 * @param {Strip} strip
 * @param {Track} track
 * @param {number} top
 * @param {string} color
 * @param {boolean} warned
 */
function paintRow(context, state, theme, strip, track, top, color, warned) {
  const chosen = state.selection.get(track.id);
  if (chosen) {
    context.fillStyle = theme.raised;
    context.fillRect(0, top, strip.width, ROW);
  }
  context.font = theme.font;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = color;
  context.fillRect(8, top + 6, 8, 8);
  context.fillStyle = chosen ? theme.text : theme.muted;
  context.fillText(shortened(context, titleOf(track), LABEL - 24), 22, top + ROW / 2 + 0.5);

  paintOutside(context, state, strip, track, top, color);
  const start = frameToX(state, strip, track.start);
  const end = frameToX(state, strip, track.end);
  context.globalAlpha = chosen ? 0.95 : 0.6;
  context.fillStyle = color;
  context.beginPath();
  context.roundRect(start - 3, top + 5, Math.max(6, end - start + 6), ROW - 10, 4);
  context.fill();
  context.globalAlpha = 1;
  if (warned) {
    context.strokeStyle = theme.warning;
    context.lineWidth = 1.5;
    context.stroke();
  }
  context.fillStyle = chosen ? theme.raised : theme.surround;
  for (const [first, last] of track.hidden ?? []) {
    const from = frameToX(state, strip, first - 0.5);
    const to = frameToX(state, strip, last + 0.5);
    context.fillRect(from, top + ROW / 2 - 3, to - from, 6);
  }
  context.fillStyle = theme.handle;
  context.fillRect(start - 3, top + 4, 3, ROW - 8);
  context.fillRect(end, top + 4, 3, ROW - 8);
  for (const { index, frame } of keysOf(track).slice(1, -1)) {
    const x = frameToX(state, strip, frame);
    const y = top + ROW / 2;
    context.beginPath();
    context.moveTo(x, y - 5);
    context.lineTo(x + 5, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 5, y);
    context.closePath();
    context.fillStyle = chosen?.has(index) ? theme.accent : theme.handle;
    context.strokeStyle = theme.halo;
    context.lineWidth = 1;
    context.fill();
    context.stroke();
  }
}

/**
 * Where a track waits, before its start or after its end: a line where it would else be absent.
 * @param {CanvasRenderingContext2D} context
 * @param {State} state
 * @param {Strip} strip
 * @param {Track} track
 * @param {number} top
 * @param {string} color
 */
function paintOutside(context, state, strip, track, top, color) {
  context.fillStyle = color;
  context.globalAlpha = 0.6;
  const line = (/** @type {number} */ from, /** @type {number} */ to) => {
    const x = frameToX(state, strip, from);
    context.fillRect(x, top + ROW / 2 - 1, frameToX(state, strip, to) - x, 2);
  };
  if (track.before === "wait") line(0, track.start);
  if (track.after === "wait") line(track.end, state.doc.frames - 1);
  context.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {State} state
 * @param {Theme} theme
 * @param {Strip} strip
 */
function paintRuler(context, state, theme, strip) {
  const { doc, frame } = state;
  context.fillStyle = theme.raised;
  context.fillRect(0, 0, strip.width, RULER);
  context.font = theme.font;
  context.textBaseline = "middle";
  context.textAlign = "center";
  const step = labelStep(state, strip);
  context.strokeStyle = theme.muted;
  context.fillStyle = theme.muted;
  context.lineWidth = 1;
  context.beginPath();
  const one = frameToX(state, strip, 1) - frameToX(state, strip, 0);
  for (let f = 0; f < doc.frames; f++) {
    const labelled = f % step === 0;
    if (!labelled && one < 4) continue;
    const x = Math.round(frameToX(state, strip, f)) + 0.5;
    context.moveTo(x, RULER);
    context.lineTo(x, RULER - (labelled ? 6 : 3));
    if (labelled) context.fillText(String(f), x, 8);
  }
  context.stroke();

  context.fillStyle = theme.warning;
  for (const key of doc.camera?.keys ?? []) {
    const at = frameToX(state, strip, key.frame);
    context.beginPath();
    context.moveTo(at, RULER - 7);
    context.lineTo(at + 4, RULER - 3);
    context.lineTo(at, RULER + 1);
    context.lineTo(at - 4, RULER - 3);
    context.fill();
  }
  const x = Math.round(frameToX(state, strip, frame)) + 0.5;
  context.strokeStyle = theme.accent;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x, RULER - 4);
  context.lineTo(x, strip.height);
  context.stroke();
  const text = String(frame);
  const width = Math.max(20, context.measureText(text).width + 10);
  context.fillStyle = theme.accent;
  context.beginPath();
  context.roundRect(x - width / 2, 1, width, RULER - 4, 4);
  context.fill();
  context.fillStyle = "#ffffff";
  context.fillText(text, x, 9.5);
}

/** As many characters as have room, rather than all of them squeezed. @param {CanvasRenderingContext2D} context @param {string} text @param {number} room */
function shortened(context, text, room) {
  const fits = (/** @type {string} */ part) => context.measureText(part).width <= room;
  if (fits(text)) return text;
  const signs = [...text];
  while (signs.length > 1 && !fits(`${signs.join("")}…`)) signs.pop();
  return `${signs.join("")}…`;
}

/** @param {State} state @param {Strip} strip */
function labelStep(state, strip) {
  const one = frameToX(state, strip, 1) - frameToX(state, strip, 0);
  return [1, 2, 4, 8, 16, 32, 64, 128, 256].find((step) => step * one >= 34) ?? 512;
}
