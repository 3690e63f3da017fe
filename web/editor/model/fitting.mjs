/**
 * How a picture of another shape lies in the frame: the node's `fit`, and what Tora2 Image to Video
 * does with the first frame. nodes/fitting.py says the same.
 *
 * @typedef {"crop" | "stretch (as Tora)" | "pad"} Fit
 * @typedef {{width: number, height: number}} Extent
 * @typedef {{x: number, y: number, width: number, height: number}} Area
 */

/** The first is the default. */
export const FITS = /** @type {const} */ (["crop", "stretch (as Tora)", "pad"]);

/** @param {unknown} value @returns {Fit} */
export function fitOf(value) {
  return FITS.find((fit) => fit === value) ?? FITS[0];
}

/**
 * The part of a picture that is seen, and where in the frame it lies.
 * @param {Extent} picture px of its own
 * @param {Extent} frame
 * @param {Fit} fit
 * @returns {{from: Area, to: Area}}
 */
export function placed(picture, frame, fit) {
  const from = { x: 0, y: 0, width: picture.width, height: picture.height };
  const to = { x: 0, y: 0, width: frame.width, height: frame.height };
  const [across, down] = [frame.width / picture.width, frame.height / picture.height];
  if (fit === "crop") return { from: middle(from, to, Math.max(across, down)), to };
  if (fit === "pad") return { from, to: middle(to, from, 1 / Math.min(across, down)) };
  return { from, to };
}

/** The middle of an area in the shape of another. @param {Area} area @param {Area} shape @param {number} scale */
function middle(area, shape, scale) {
  const [width, height] = [shape.width / scale, shape.height / scale];
  return { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
}
