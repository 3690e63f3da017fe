/**
 * The tracks that rest. Asked for a second time they are painted onto a canvas of their own, so that
 * playing, hovering and dragging others costs one copy; a picture that is shown once needs none.
 *
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("./canvas.mjs").Surface} Surface
 */
import { paintTrack } from "./trackview.mjs";

export class PathLayer {
  /** @param {() => HTMLCanvasElement} create */
  constructor(create) {
    this.create = create;
    /** @type {HTMLCanvasElement | null} */
    this.canvas = null;
    /** @type {unknown[]} */
    this.key = [];
    /** Whether the canvas holds what the key says. */
    this.kept = false;
  }

  /**
   * @param {Surface} surface
   * @param {Track[]} tracks in the order of painting
   * @param {Map<string, string>} colors
   */
  paint(surface, tracks, colors) {
    if (!tracks.length) return;
    const { context, state, view, theme, busy } = surface;
    const { canvas } = context;
    const { width, height, frames, fps } = state.doc;
    const key = [
      ...[canvas.width, canvas.height, view.scale, view.x, view.y, width, height, frames, fps],
      theme,
      busy,
      state.selection,
      ...tracks,
      ...tracks.map((track) => colors.get(track.id)),
    ];
    const again = same(key, this.key);
    this.key = key;
    if (!again) {
      this.kept = false;
      paintAll(surface, tracks, colors);
      return;
    }
    if (!this.kept) this.keep(surface, tracks, colors);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(/** @type {HTMLCanvasElement} */ (this.canvas), 0, 0);
    context.restore();
  }

  /**
   * @param {Surface} surface
   * @param {Track[]} tracks
   * @param {Map<string, string>} colors
   */
  keep(surface, tracks, colors) {
    const layer = (this.canvas ??= this.create());
    const { canvas } = surface.context;
    layer.width = canvas.width;
    layer.height = canvas.height;
    const context = layer.getContext("2d");
    if (!context) return;
    context.setTransform(surface.context.getTransform());
    paintAll({ ...surface, context }, tracks, colors);
    this.kept = true;
  }
}

/**
 * @param {Surface} surface
 * @param {Track[]} tracks
 * @param {Map<string, string>} colors
 */
function paintAll(surface, tracks, colors) {
  for (const track of tracks) {
    const strong = surface.state.selection.has(track.id);
    paintTrack(surface, track, colors.get(track.id) ?? surface.theme.accent, strong);
  }
}

/**
 * Whether two keys are of the same picture.
 * @param {unknown[]} a
 * @param {unknown[]} b
 */
export function same(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
