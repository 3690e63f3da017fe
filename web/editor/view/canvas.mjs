/**
 * A canvas element that stays sharp at any zoom of the graph and any pixel density.
 *
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {import("../model/types.mjs").Viewport} Viewport
 * @typedef {import("./theme.mjs").Theme} Theme
 *
 * @typedef {(track: import("../model/types.mjs").Track) => (HTMLImageElement | null)} Portraits
 *   the picture of a track's entity
 * @typedef {{width: number, height: number, zoom: number}} Size css pixels, and how much larger than
 *   those the page shows them
 * @typedef {{context: CanvasRenderingContext2D, state: State, view: Viewport, theme: Theme,
 *   busy: boolean, hint?: string, portraits?: Portraits}} Surface what is painted on, and what is shown there. The context
 *   is scaled to css pixels; `busy`: there is a picture behind, so that lines need a rim; `hint`:
 *   what to say on an empty frame
 */

const MAX_DENSITY = 3;

/** @param {HTMLCanvasElement} canvas @returns {Size | null} null while it is not laid out */
export function measure(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  return { width, height, zoom: canvas.getBoundingClientRect().width / width || 1 };
}

/**
 * Match the backing store to what is seen. What it held is to be painted over: it is opaque.
 * @param {HTMLCanvasElement} canvas
 * @param {Size} size
 * @returns {CanvasRenderingContext2D | null} scaled to css pixels
 */
export function prepare(canvas, { width, height, zoom }) {
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) return null;
  const density = Math.min(MAX_DENSITY, Math.max(1, zoom * (globalThis.devicePixelRatio || 1)));
  const w = Math.round(width * density);
  const h = Math.round(height * density);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  context.setTransform(w / width, 0, 0, h / height, 0, 0);
  return context;
}
