/**
 * The tracks that rest. Asked for a second time they are painted onto a canvas of their own, so that
 * playing, hovering and dragging others costs one copy; a picture that is shown once needs none.
 *
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("./stageview.mjs").Stage} Stage
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
   * @param {Stage} stage
   * @param {Track[]} tracks in the order of painting
   * @param {Map<string, string>} colors
   */
  paint(stage, tracks, colors) {
    const { context, state, view, theme, busy } = stage;
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
      paintAll(stage, tracks, colors);
      return;
    }
    if (!this.kept) this.keep(stage, tracks, colors);
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
  keep(stage, tracks, colors) {
    const layer = (this.canvas ??= this.create());
    const { canvas } = stage.context;
    layer.width = canvas.width;
    layer.height = canvas.height;
    const context = layer.getContext("2d");
    if (!context) return;
    context.setTransform(stage.context.getTransform());
    paintAll({ ...stage, context }, tracks, colors);
    this.kept = true;
  }
}

/**
 * @param {Stage} stage
 * @param {Track[]} tracks
 * @param {Map<string, string>} colors
 */
function paintAll(stage, tracks, colors) {
  for (const track of tracks) {
    const strong = stage.state.selection.has(track.id);
    paintTrack(stage, track, colors.get(track.id) ?? stage.theme.accent, strong);
  }
}

/**
 * @param {unknown[]} a
 * @param {unknown[]} b
 */
function same(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
