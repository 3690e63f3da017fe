/**
 * The tracks that rest, painted once onto a canvas of their own. Playing, hovering and dragging
 * others then costs one copy.
 *
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./view.mjs").Stage} Stage
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
  }

  /**
   * @param {Stage} stage
   * @param {Track[]} tracks in the order of painting
   * @param {Map<string, string>} colors
   */
  paint(stage, tracks, colors) {
    const { context, state, view, theme } = stage;
    const { canvas } = context;
    const { width, height, frames, fps } = state.doc;
    const key = [
      ...[canvas.width, canvas.height, view.scale, view.x, view.y, width, height, frames, fps],
      theme,
      state.selection,
      ...tracks,
      ...tracks.map((track) => colors.get(track.id)),
    ];
    if (!this.canvas || !same(key, this.key)) this.renew(stage, tracks, colors);
    this.key = key;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(/** @type {HTMLCanvasElement} */ (this.canvas), 0, 0);
    context.restore();
  }

  /**
   * @param {Stage} stage
   * @param {Track[]} tracks
   * @param {Map<string, string>} colors
   */
  renew(stage, tracks, colors) {
    const layer = (this.canvas ??= this.create());
    const { canvas } = stage.context;
    layer.width = canvas.width;
    layer.height = canvas.height;
    const context = layer.getContext("2d");
    if (!context) return;
    context.setTransform(stage.context.getTransform());
    for (const track of tracks) {
      const strong = stage.state.selection.has(track.id);
      paintTrack({ ...stage, context }, track, colors.get(track.id) ?? stage.theme.accent, strong);
    }
  }
}

/**
 * @param {unknown[]} a
 * @param {unknown[]} b
 */
function same(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
