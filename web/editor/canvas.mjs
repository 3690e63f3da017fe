/** A canvas element that stays sharp at any zoom of the graph and any pixel density. */

const MAX_DENSITY = 3;

/**
 * Match the backing store to what is seen, and clear it.
 * @param {HTMLCanvasElement} canvas
 * @returns {{context: CanvasRenderingContext2D, width: number, height: number} | null} sizes in css
 *   pixels; null while the canvas is not laid out
 */
export function prepare(canvas) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const context = width && height ? canvas.getContext("2d") : null;
  if (!context) return null;
  const zoom = canvas.getBoundingClientRect().width / width || 1;
  const density = Math.min(MAX_DENSITY, Math.max(1, zoom * (globalThis.devicePixelRatio || 1)));
  const w = Math.round(width * density);
  const h = Math.round(height * density);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  context.setTransform(w / width, 0, 0, h / height, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}
