/**
 * The tracks of a heavy edit. Where all of them move as one, their sketch is kept on a canvas of its
 * own that is painted where they are: a picture of the drag costs one copy, however many they are.
 *
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/motion.mjs").Motion} Motion
 * @typedef {import("./canvas.mjs").Surface} Surface
 * @typedef {(track: Track) => string} ColorOf
 */
import { bounds } from "../model/geometry.mjs";
import { same } from "./pathlayer.mjs";
import { sketchTrack } from "./trackview.mjs";

/** Canvases of more pixels than this are not worth their memory. */
const MOST_PIXELS = 1 << 22;
/** Room for the lines' width, the points' squares and what a spline swings over them, css pixels. */
const MARGIN = 64;

export class SketchLayer {
  /** @param {() => HTMLCanvasElement} create */
  constructor(create) {
    this.create = create;
    /** @type {HTMLCanvasElement | null} */
    this.canvas = null;
    /** @type {unknown[]} */
    this.key = [];
    /** The corner of the canvas on the stage, css pixels. */
    this.corner = { x: 0, y: 0 };
  }

  /**
   * @param {Surface} surface
   * @param {Motion} motion
   * @param {ColorOf} colorOf
   */
  paint(surface, { tracks, from, shift }, colorOf) {
    const layer = shift && this.of(surface, from, colorOf);
    if (!layer) {
      for (const track of tracks) sketchTrack(surface, track, colorOf(track));
      return;
    }
    const { context, state, view } = surface;
    const x = this.corner.x + shift.x * state.doc.width * view.scale;
    const y = this.corner.y + shift.y * state.doc.height * view.scale;
    const density = context.getTransform().a;
    // On whole pixels nothing has to be interpolated.
    const whole = (/** @type {number} */ at) => Math.round(at * density);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(layer, whole(x), whole(y));
    context.restore();
  }

  /** Forget the sketch; its memory is given back. */
  clear() {
    if (this.canvas) this.canvas.width = this.canvas.height = 0;
    this.key = [];
  }

  /**
   * The sketch of tracks where they are.
   * @param {Surface} surface
   * @param {Track[]} tracks
   * @param {ColorOf} colorOf
   * @returns {HTMLCanvasElement | null} null where it would be too large
   */
  of(surface, tracks, colorOf) {
    const { state, view, theme } = surface;
    const { width, height } = state.doc;
    const density = surface.context.getTransform().a;
    const seen = [density, view.scale, view.x, view.y, width, height, theme, state.selection];
    const key = [...seen, ...tracks, ...tracks.map(colorOf)];
    if (same(key, this.key)) return this.canvas;
    const box = bounds(tracks.flatMap(({ points }) => points));
    if (!box) return null;
    const left = box.left * width * view.scale + view.x - MARGIN;
    const top = box.top * height * view.scale + view.y - MARGIN;
    const across = Math.ceil(((box.right - box.left) * width * view.scale + 2 * MARGIN) * density);
    const down = Math.ceil(((box.bottom - box.top) * height * view.scale + 2 * MARGIN) * density);
    if (across * down > MOST_PIXELS) return null;
    const layer = (this.canvas ??= this.create());
    layer.width = across;
    layer.height = down;
    const context = layer.getContext("2d");
    if (!context) return null;
    context.setTransform(density, 0, 0, density, -left * density, -top * density);
    for (const track of tracks) sketchTrack({ ...surface, context }, track, colorOf(track));
    this.key = key;
    this.corner = { x: left, y: top };
    return layer;
  }
}
