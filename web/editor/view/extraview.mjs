/**
 * What is shown along the paths when it is asked for: how large the entity is and its picture, the
 * Bezier handles, the speed, and what the camera makes of the paths.
 *
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("./canvas.mjs").Surface} Surface
 * @typedef {import("./canvas.mjs").Portraits} Portraits
 */
import { pointGrips } from "../controller/grips.mjs";
import { cameraAt, filmed, sight } from "../model/camera.mjs";
import { sampleTrack, visibleAt } from "../model/sampling.mjs";
import { heightOf, shownFrames } from "../model/sizes.mjs";
import { toCss } from "../model/viewport.mjs";

/** The bar of the fastest step along a path, css. */
const COMB = 26;

/**
 * The entity's box, or its picture as an onion skin, along its path and where it is now.
 * @param {Surface} surface
 * @param {Track} track
 * @param {string} color
 * @param {Portraits} portraits
 */
export function paintSizes(surface, track, color, portraits) {
  const { context, state, view } = surface;
  const { x, y, scale } = sampleTrack(track, state.doc);
  const picture = portraits(track);
  const now = state.frame;
  const frames = shownFrames(track).filter((f) => f !== now && visibleAt(track, f));
  if (visibleAt(track, now)) frames.push(now);
  context.lineWidth = 1.25;
  for (const f of frames) {
    const at = toCss(view, { x: x[f], y: y[f] });
    const ratio = picture ? picture.naturalWidth / picture.naturalHeight : 1;
    const h = heightOf(state, track, f) * view.scale * scale[f];
    const w = h * ratio;
    if (picture) {
      context.globalAlpha = f === now ? 0.9 : 0.3;
      context.drawImage(picture, at.x - w / 2, at.y - h / 2, w, h);
    }
    context.globalAlpha = f === now ? 1 : 0.55;
    context.strokeStyle = color;
    context.strokeRect(at.x - w / 2, at.y - h / 2, w, h);
  }
  context.globalAlpha = 1;
}

/** The ends of Bezier handles, and the corners by which sizes are dragged. @param {Surface} surface */
export function paintPointGrips({ context, state, view, theme }) {
  context.lineWidth = 1.25;
  for (const { kind, css, from } of pointGrips(state, view)) {
    context.strokeStyle = theme.accent;
    context.fillStyle = theme.handle;
    context.beginPath();
    if (kind === "size") {
      context.rect(css.x - 4, css.y - 4, 8, 8);
    } else {
      context.moveTo(from.x, from.y);
      context.lineTo(css.x, css.y);
      context.stroke();
      context.beginPath();
      context.arc(css.x, css.y, 4, 0, 2 * Math.PI);
    }
    context.fill();
    context.stroke();
  }
}

/** Bars across a path, as long as it is fast there. @param {Surface} surface @param {Track} track @param {string} color */
export function paintSpeeds({ context, state, view }, track, color) {
  const { x, y, speed } = sampleTrack(track, state.doc);
  if (speed === 0) return;
  context.strokeStyle = color;
  context.lineWidth = 3;
  context.globalAlpha = 0.5;
  context.beginPath();
  for (let f = track.start + 1; f <= track.end; f++) {
    const dx = x[f] - x[f - 1];
    const dy = y[f] - y[f - 1];
    const step = Math.hypot(dx, dy);
    if (step < 1e-6) continue;
    const at = toCss(view, { x: (x[f] + x[f - 1]) / 2, y: (y[f] + y[f - 1]) / 2 });
    const far = (COMB * step) / speed / step;
    context.moveTo(at.x, at.y);
    context.lineTo(at.x + dy * far, at.y - dx * far);
  }
  context.stroke();
  context.globalAlpha = 1;
}

/**
 * With a camera: what it sees at the playhead, the path that comes of a track, and where it is seen.
 * @param {Surface} surface
 * @param {{track: Track, color: string}[]} shown
 */
export function paintCamera({ context, state, view, theme }, shown) {
  const { doc, frame } = state;
  if (!doc.camera) return;
  context.strokeStyle = theme.warning;
  context.lineWidth = 1.5;
  context.setLineDash([8, 4]);
  context.beginPath();
  sight(cameraAt(doc.camera, frame), doc).forEach((corner, i) => {
    const { x, y } = toCss(view, corner);
    if (i) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  context.closePath();
  context.stroke();
  context.setLineDash([2, 4]);
  for (const { track, color } of shown) {
    const { x, y } = filmed(track, doc);
    /** @type {number[]} */
    const seen = [];
    for (let f = 0; f < doc.frames; f++) if (visibleAt(track, f)) seen.push(f);
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.beginPath();
    seen.forEach((f, i) => {
      const at = toCss(view, { x: x[f], y: y[f] });
      if (i && seen[i - 1] === f - 1) context.lineTo(at.x, at.y);
      else context.moveTo(at.x, at.y);
    });
    context.stroke();
    if (!visibleAt(track, frame)) continue;
    const at = toCss(view, { x: x[frame], y: y[frame] });
    context.setLineDash([]);
    context.beginPath();
    context.arc(at.x, at.y, 6, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([2, 4]);
  }
  context.setLineDash([]);
}
