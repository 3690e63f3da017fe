/**
 * Paints one track: its path, the ticks where frames fall, its points, and where it is now.
 *
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("./canvas.mjs").Surface} Surface
 * @typedef {import("../model/sampling.mjs").Sampled} Sampled
 */
import { flatten, pointAt } from "../model/geometry.mjs";
import { bends, sampleTrack, SPEED_LIMIT, tooFast, visibleAt } from "../model/sampling.mjs";
import { paintPoints } from "./pointview.mjs";

/** A path is drawn by chords of at most this many css pixels and of this much turning, in radians. */
const CHORD = 12;
const TURN = 0.16;
/** Ticks are at least about this many css pixels apart. */
const TICK_SPACING = 8;
const SKETCH_STEPS = 6;

/** @type {WeakMap<Sampled, {scale: number, path: Path2D}>} */
const paths = new WeakMap();

/**
 * The path with its ticks, points and signs: all that does not depend on the playhead.
 * @param {Surface} surface
 * @param {Track} track
 * @param {string} color
 * @param {boolean} strong
 */
export function paintTrack(surface, track, color, strong) {
  const { context, state, view, theme, busy } = surface;
  if (track.points.length > 1) {
    const sampled = sampleTrack(track, state.doc);
    const path = pathOf(sampled, view.scale);
    context.save();
    context.translate(view.x, view.y);
    context.lineJoin = track.curve === "spline" ? "bevel" : "round";
    context.lineCap = "round";
    if (busy || strong) {
      context.strokeStyle = theme.halo;
      context.lineWidth = strong ? 5.5 : 4;
      context.stroke(path);
    }
    context.strokeStyle = color;
    context.lineWidth = strong ? 3 : 2;
    context.stroke(path);
    context.restore();
    if (tooFast(track, state.doc)) paintTooFast(surface, track, sampled);
    if (strong || state.selection.size === 0) paintTicks(surface, track, sampled);
    paintArrow(surface, sampled, color, strong);
  }
  paintPoints(surface, track, color, state.selection.get(track.id));
}

/**
 * A quick sketch of a track, for dragging thousands of points: hairlines, which cost a twentieth of wide
 * strokes where no graphics card helps, and squares.
 * @param {Surface} surface
 * @param {Track} track
 * @param {string} color
 */
export function sketchTrack({ context, state, view, theme }, track, color) {
  const { width, height } = state.doc;
  const points = bends(track, width * view.scale, height * view.scale).map((p) => ({
    ...p,
    x: p.x + view.x,
    y: p.y + view.y,
  }));
  const { x, y } = flatten(points, track.curve, SKETCH_STEPS, track.tension);
  const path = new Path2D();
  path.moveTo(x[0], y[0]);
  for (let i = 1; i < x.length; i++) path.lineTo(x[i], y[i]);
  context.strokeStyle = color;
  context.lineWidth = 1 / context.getTransform().a;
  for (const shift of [-0.6, 0, 0.6]) {
    context.translate(shift, shift);
    context.stroke(path);
    context.translate(-shift, -shift);
  }
  context.fillStyle = theme.handle;
  for (const i of state.selection.get(track.id) ?? []) {
    context.fillRect(Math.round(points[i].x) - 2, Math.round(points[i].y) - 2, 4, 4);
  }
}

/**
 * The path at a scale, in css pixels from the frame's corner: with as few vertices as look the same,
 * since stroking them is most of what a picture costs.
 * @param {Sampled} sampled
 * @param {number} scale
 */
function pathOf(sampled, scale) {
  const known = paths.get(sampled);
  if (known?.scale === scale) return known.path;
  const { x, y, length } = sampled.path;
  const path = new Path2D();
  path.moveTo(x[0] * scale, y[0] * scale);
  const last = x.length - 1;
  let drawn = 0;
  let turned = 0;
  for (let i = 1; i <= last; i++) {
    if (i < last) {
      const step = (length[i] - length[i - 1]) * (length[i + 1] - length[i]);
      const ax = x[i] - x[i - 1];
      const ay = y[i] - y[i - 1];
      const bx = x[i + 1] - x[i];
      const by = y[i + 1] - y[i];
      turned += ax * bx + ay * by <= 0 ? TURN : Math.abs(ax * by - ay * bx) / step;
      const near = (length[i + 1] - drawn) * scale < CHORD;
      if (near && (turned < TURN || (length[i] - drawn) * scale < 1)) continue;
    }
    path.lineTo(x[i] * scale, y[i] * scale);
    drawn = length[i];
    turned = 0;
  }
  paths.set(sampled, { scale, path });
  return path;
}

/**
 * Short strokes across the path where frames fall, longer at whole seconds: even motion shows as an
 * even spacing. Every second, fourth, … frame only, where they would be too close to tell apart.
 * @param {Surface} surface
 * @param {Track} track
 * @param {Sampled} sampled
 */
function paintTicks({ context, state, view, theme }, track, { x, y, path }) {
  const second = Math.max(1, Math.round(state.doc.fps));
  const spacing =
    (path.length[path.length.length - 1] * view.scale) / (track.end - track.start || 1);
  const stride = [1, 2, 4, 8].find((step) => step * spacing >= TICK_SPACING) ?? 16;
  context.strokeStyle = theme.text;
  context.lineWidth = 1;
  context.globalAlpha = 0.85;
  context.beginPath();
  for (let f = track.start; f <= track.end; f++) {
    const whole = f % second === 0;
    if (!whole && f % stride) continue;
    const a = Math.max(track.start, f - 1);
    const b = Math.min(track.end, f + 1);
    const dx = x[b] - x[a];
    const dy = y[b] - y[a];
    const norm = Math.hypot(dx, dy);
    if (norm < 1e-6) continue;
    const cx = x[f] * view.scale + view.x;
    const cy = y[f] * view.scale + view.y;
    const half = (whole ? 5.5 : 3) / norm;
    context.moveTo(cx - dy * half, cy + dx * half);
    context.lineTo(cx + dy * half, cy - dx * half);
  }
  context.stroke();
  context.globalAlpha = 1;
}

/**
 * A dashed stroke over the stretches that are too fast, and a sign at the fastest.
 * @param {Surface} surface
 * @param {Track} track
 * @param {Sampled} sampled
 */
function paintTooFast({ context, state, view, theme }, track, { path, along, x, y, fastest }) {
  const limit = SPEED_LIMIT * state.doc.width;
  context.strokeStyle = theme.warning;
  context.lineWidth = 3;
  context.setLineDash([3, 3]);
  context.beginPath();
  let vertex = 0;
  for (let f = track.start + 1; f <= track.end; f++) {
    if (Math.hypot(x[f] - x[f - 1], y[f] - y[f - 1]) <= limit) continue;
    context.moveTo(x[f - 1] * view.scale + view.x, y[f - 1] * view.scale + view.y);
    while (path.length[vertex] <= along[f - 1]) vertex++;
    for (; path.length[vertex] < along[f]; vertex++) {
      context.lineTo(path.x[vertex] * view.scale + view.x, path.y[vertex] * view.scale + view.y);
    }
    context.lineTo(x[f] * view.scale + view.x, y[f] * view.scale + view.y);
  }
  context.stroke();
  context.setLineDash([]);
  const middle = pointAt(path, (along[fastest - 1] + along[fastest]) / 2);
  paintSign(context, theme, middle.x * view.scale + view.x, middle.y * view.scale + view.y - 16);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./theme.mjs").Theme} theme
 * @param {number} x
 * @param {number} y
 */
function paintSign(context, theme, x, y) {
  context.fillStyle = theme.warning;
  context.beginPath();
  context.moveTo(x, y - 8);
  context.lineTo(x + 9, y + 7);
  context.lineTo(x - 9, y + 7);
  context.closePath();
  context.fill();
  context.fillStyle = "#1b1c1f";
  context.fillRect(x - 1, y - 3, 2, 5);
  context.fillRect(x - 1, y + 3.5, 2, 2);
}

/**
 * @param {Surface} surface
 * @param {Sampled} sampled
 * @param {string} color
 * @param {boolean} strong
 */
function paintArrow({ context, view, theme }, { path: { x, y } }, color, strong) {
  const last = x.length - 1;
  let from = last - 1;
  while (from > 0 && Math.hypot(x[last] - x[from], y[last] - y[from]) * view.scale < 6) from--;
  const angle = Math.atan2(y[last] - y[from], x[last] - x[from]);
  const size = strong ? 11 : 9;
  context.save();
  context.translate(x[last] * view.scale + view.x, y[last] * view.scale + view.y);
  context.rotate(angle);
  context.beginPath();
  context.moveTo(size + 3, 0);
  context.lineTo(3 - size * 0.2, size * 0.6);
  context.lineTo(3 - size * 0.2, -size * 0.6);
  context.closePath();
  context.fillStyle = color;
  context.strokeStyle = theme.halo;
  context.lineWidth = 1;
  context.fill();
  context.stroke();
  context.restore();
}

/**
 * Where the track is at the playhead.
 * @param {Surface} surface
 * @param {Track} track
 * @param {string} color
 */
export function paintNow({ context, state, view, theme }, track, color) {
  if (track.points.length === 1 || !visibleAt(track, state.frame)) return;
  const { x, y } = sampleTrack(track, state.doc);
  const f = state.frame;
  const cx = x[f] * view.scale + view.x;
  const cy = y[f] * view.scale + view.y;
  context.fillStyle = color;
  context.strokeStyle = theme.handle;
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(cx, cy, 7, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  context.strokeStyle = theme.halo;
  context.lineWidth = 1;
  context.beginPath();
  context.arc(cx, cy, 8.75, 0, 2 * Math.PI);
  context.stroke();
}
