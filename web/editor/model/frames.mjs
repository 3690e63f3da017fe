/**
 * How long a clip may be: 4k + 1 frames, as the video model's latents have one frame for the first
 * and one for every four after it.
 */
const STRIDE = 4;

/** @param {number} frames */
export function isClipLength(frames) {
  return Number.isInteger(frames) && frames >= 1 && frames % STRIDE === 1;
}

/** The length nearest to a number of frames. @param {number} frames */
export function clipLength(frames) {
  return Math.max(1, Math.round((frames - 1) / STRIDE) * STRIDE + 1);
}

/** The next length upwards. @param {number} frames */
export function roundedLength(frames) {
  return Math.ceil((Math.max(1, frames) - 1) / STRIDE) * STRIDE + 1;
}
