/**
 * Paints the stage: background, grid, tracks, and the marks of what the user is doing.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("./background.mjs").Backdrop} Backdrop
 * @typedef {import("./canvas.mjs").Surface} Surface
 *
 * What is painted once and copied: the tracks that rest, and those that are moved.
 * @typedef {{resting: PathLayer, moving: SketchLayer}} PathLayers
 */
import { gripsOf, selectionBox } from "../controller/hit.mjs";
import { colorsOf } from "../model/entities.mjs";
import { placed } from "../model/fitting.mjs";
import { isVisible } from "../model/layers.mjs";
import { sampleTrack } from "../model/sampling.mjs";
import { titleOf } from "../model/tracks.mjs";
import { toCss } from "../model/viewport.mjs";
import { paintCamera, paintPointGrips, paintSizes, paintSpeeds } from "./extraview.mjs";
import { PathLayer } from "./pathlayer.mjs";
import { SketchLayer } from "./sketchlayer.mjs";
import { paintNow, paintTrack } from "./trackview.mjs";

/** As much of an entity's name as the hover shows. */
const NAME = 24;
/** Sizes and speeds of more tracks than this would hide the picture. */
const MOST_SIZES = 24;

/** @param {() => HTMLCanvasElement} create @returns {PathLayers} */
export const pathLayers = (create) => ({
  resting: new PathLayer(create),
  moving: new SketchLayer(create),
});

/**
 * @param {Surface} surface
 * @param {{width: number, height: number}} size css
 * @param {Backdrop} backdrop
 * @param {import("../model/motion.mjs").Motion} motion
 * @param {PathLayers} layers
 */
export function paintStage(surface, size, backdrop, motion, layers) {
  const { context, state, theme } = surface;
  context.fillStyle = theme.surround;
  context.fillRect(0, 0, size.width, size.height);
  paintFrame(surface, backdrop);
  paintTracks(surface, motion, layers);
  if (surface.hint && !state.stroke) paintHint(surface, surface.hint);
  paintDrawing(surface, size);
  if (!motion.heavy) {
    if (state.tool === "select") paintPointGrips(surface);
    paintSelection(surface);
  }
  if (state.hover) paintHover(surface, size);
}

/**
 * @param {Surface} surface
 * @param {import("../model/motion.mjs").Motion} motion
 * @param {PathLayers} layers
 */
function paintTracks(surface, motion, layers) {
  const { state, theme } = surface;
  const colors = colorsOf(state.doc);
  const colorOf = (/** @type {Track} */ track) => colors.get(track.id) ?? theme.accent;
  const shown = state.doc.tracks.filter((track) => isVisible(state, track));
  const resting = shown.filter((track) => !motion.tracks.has(track));
  const chosen = (/** @type {Track} */ track) => Number(state.selection.has(track.id));
  layers.resting.paint(
    surface,
    resting.sort((a, b) => chosen(a) - chosen(b)),
    colors,
  );
  if (motion.heavy) layers.moving.paint(surface, motion, colorOf);
  else layers.moving.clear();
  for (const track of motion.heavy ? [] : motion.tracks) {
    if (isVisible(state, track)) paintTrack(surface, track, colorOf(track), true);
  }
  const hovered = resting.find((track) => track.id === state.hover?.track);
  if (hovered && !chosen(hovered)) paintTrack(surface, hovered, colorOf(hovered), true);
  if (!motion.heavy) paintExtras(surface, shown, colorOf);
  for (const track of motion.heavy ? resting : shown) paintNow(surface, track, colorOf(track));
}

/**
 * Sizes and speeds of the selected tracks, or of all where few are selected, and the camera.
 * @param {Surface} surface
 * @param {Track[]} shown
 * @param {(track: Track) => string} colorOf
 */
function paintExtras(surface, shown, colorOf) {
  const { state, portraits = () => null } = surface;
  const chosen = shown.filter((track) => state.selection.has(track.id));
  const meant = (chosen.length ? chosen : shown).slice(0, MOST_SIZES);
  if (state.sizes) for (const track of meant) paintSizes(surface, track, colorOf(track), portraits);
  if (state.speeds) for (const track of meant) paintSpeeds(surface, track, colorOf(track));
  paintCamera(
    surface,
    shown.map((track) => ({ track, color: colorOf(track) })),
  );
}

/**
 * @param {Surface} surface
 * @param {Backdrop} backdrop
 */
function paintFrame(surface, { picture, tint, fit }) {
  const { context, state, view, theme } = surface;
  const { width, height } = state.doc;
  const w = width * view.scale;
  const h = height * view.scale;
  context.fillStyle = theme.frame;
  context.fillRect(view.x, view.y, w, h);
  for (const layer of [picture, tint]) {
    if (layer) paintBehind(surface, layer, fit);
  }
  if (state.grid > 0) paintGrid(surface);
  context.strokeStyle = theme.border;
  context.lineWidth = 1;
  context.strokeRect(view.x - 0.5, view.y - 0.5, w + 1, h + 1);
}

/**
 * @param {Surface} surface
 * @param {import("./background.mjs").Picture} picture
 * @param {import("../model/fitting.mjs").Fit} fit
 */
function paintBehind({ context, state, view }, picture, fit) {
  const extent =
    picture instanceof HTMLImageElement
      ? { width: picture.naturalWidth, height: picture.naturalHeight }
      : picture instanceof HTMLVideoElement
        ? { width: picture.videoWidth, height: picture.videoHeight }
        : picture;
  const { from, to } = placed(extent, state.doc, fit);
  const corner = toCss(view, to);
  context.drawImage(
    picture,
    ...[from.x, from.y, from.width, from.height],
    ...[corner.x, corner.y, to.width * view.scale, to.height * view.scale],
  );
}

/** @param {Surface} surface @param {string} text */
function paintHint({ context, state, view, theme }, text) {
  const { x, y } = toCss(view, { x: state.doc.width / 2, y: state.doc.height / 2 });
  context.font = theme.font.replace(/^\d+/, "13");
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = theme.frame;
  context.fillStyle = theme.muted;
  const width = state.doc.width * view.scale;
  context.strokeText(text, x, y, width);
  context.fillText(text, x, y, width);
}

/** @param {Surface} surface */
function paintGrid({ context, state, view, theme }) {
  const { width, height } = state.doc;
  const cell = width / state.grid;
  context.strokeStyle = theme.grid;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = cell; x < width - 0.5; x += cell) {
    const at = toCss(view, { x, y: 0 });
    context.moveTo(at.x, at.y);
    context.lineTo(at.x, at.y + height * view.scale);
  }
  for (let y = cell; y < height - 0.5; y += cell) {
    const at = toCss(view, { x: 0, y });
    context.moveTo(at.x, at.y);
    context.lineTo(at.x + width * view.scale, at.y);
  }
  context.stroke();
}

/**
 * The stroke or segment that is being drawn, and the guides it snaps to.
 * @param {Surface} surface
 * @param {{width: number, height: number}} size
 */
function paintDrawing({ context, state, view, theme }, size) {
  const { guides, stroke, cursor, drawing, doc } = state;
  context.lineWidth = 1;
  if (guides) {
    context.strokeStyle = theme.accent;
    context.beginPath();
    if (guides.x !== null) {
      const { x } = toCss(view, { x: guides.x, y: 0 });
      context.moveTo(x, 0);
      context.lineTo(x, size.height);
    }
    if (guides.y !== null) {
      const { y } = toCss(view, { x: 0, y: guides.y });
      context.moveTo(0, y);
      context.lineTo(size.width, y);
    }
    context.stroke();
  }
  const track = drawing === null ? undefined : doc.tracks.find((t) => t.id === drawing);
  /** @type {Vec[]} */
  let line = stroke ?? [];
  if (track && cursor) {
    const last = track.points[track.points.length - 1];
    line = [{ x: last.x * doc.width, y: last.y * doc.height }, cursor];
  }
  if (line.length < 2) return;
  context.strokeStyle = theme.accent;
  context.lineWidth = stroke ? 2.5 : 1.25;
  context.setLineDash(stroke ? [] : [5, 4]);
  context.beginPath();
  line.forEach((p, i) => {
    const { x, y } = toCss(view, p);
    if (i) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  context.stroke();
  context.setLineDash([]);
}

/** @param {Surface} surface */
function paintSelection({ context, state, view, theme }) {
  const box = selectionBox(state, view);
  context.lineWidth = 1;
  if (box && !state.marquee) {
    context.strokeStyle = theme.accent;
    context.setLineDash([4, 3]);
    context.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    context.setLineDash([]);
    const grips = gripsOf(box);
    context.beginPath();
    context.moveTo(grips.rotate.x, grips.rotate.y);
    context.lineTo(grips.rotate.x, box.top);
    context.stroke();
    context.fillStyle = theme.handle;
    for (const [name, at] of Object.entries(grips)) {
      context.beginPath();
      if (name === "rotate") context.arc(at.x, at.y, 4.5, 0, 2 * Math.PI);
      else context.rect(at.x - 4, at.y - 4, 8, 8);
      context.fill();
      context.stroke();
    }
  }
  if (state.marquee) {
    const { left, top, right, bottom } = state.marquee;
    const a = toCss(view, { x: left * state.doc.width, y: top * state.doc.height });
    const b = toCss(view, { x: right * state.doc.width, y: bottom * state.doc.height });
    context.globalAlpha = 0.14;
    context.fillStyle = theme.accent;
    context.fillRect(a.x, a.y, b.x - a.x, b.y - a.y);
    context.globalAlpha = 1;
    context.strokeStyle = theme.accent;
    context.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
  }
}

/**
 * The frame and second at which the track passes the pointer.
 * @param {Surface} surface
 * @param {{width: number, height: number}} size
 */
function paintHover({ context, state, view, theme }, size) {
  const { hover, doc } = state;
  if (!hover) return;
  const at = toCss(view, hover.at);
  const lines = hoverText(doc, hover);
  context.font = theme.font;
  const width = Math.max(...lines.map((line) => context.measureText(line).width)) + 14;
  const x = Math.min(Math.max(4, at.x + 12), Math.max(4, size.width - width - 4));
  const y = at.y > 52 ? at.y - 46 : at.y + 14;
  context.fillStyle = theme.raised;
  context.strokeStyle = theme.border;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(x, y, width, 36, 5);
  context.fill();
  context.stroke();
  context.fillStyle = theme.text;
  context.textAlign = "left";
  context.textBaseline = "middle";
  lines.forEach((line, i) => context.fillText(line, x + 7, y + 10.5 + 15 * i));
}

/**
 * Whose path it is and when it is passed; where that is, in pixels and in percent of the frame.
 * @param {Doc} doc
 * @param {import("../model/store.mjs").Hover} hover
 */
function hoverText(doc, hover) {
  const track = doc.tracks.find(({ id }) => id === hover.track);
  const owner = doc.entities.find((entity) => entity.id === track?.entity)?.name.slice(0, NAME);
  const frame = Math.round(hover.frame);
  const names = [owner, track && titleOf(track).slice(0, NAME)];
  const second = `${(hover.frame / doc.fps).toFixed(2)} s`;
  const percent = (/** @type {number} */ part, /** @type {number} */ whole) =>
    `${((100 * part) / whole).toFixed(1)} %`;
  const { x, y } = hover.at;
  const places = [
    `${x.toFixed(0)}, ${y.toFixed(0)} px`,
    `${percent(x, doc.width)}, ${percent(y, doc.height)}`,
  ];
  const scale =
    track && sampleTrack(track, doc).scale[Math.min(doc.frames - 1, Math.max(0, frame))];
  if (scale !== undefined && scale !== 1) places.push(`× ${scale.toFixed(2)}`);
  return [
    [...names, `${frame} / ${doc.frames - 1}`, second].filter(Boolean).join("  ·  "),
    places.join("  ·  "),
  ];
}
