/**
 * What an edit that is going on has changed, and whether that is too much to draw in full.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {{tracks: ReadonlySet<Track>, heavy: boolean}} Motion
 */

/** Moving more control points than this is drawn as a sketch until it ends. */
const HEAVY = 400;
/** @type {Motion} */
const STILL = Object.freeze({ tracks: new Set(), heavy: false });

/**
 * @param {Doc} doc as shown
 * @param {Doc} settled as committed
 * @returns {Motion}
 */
export function motionOf(doc, settled) {
  if (doc === settled) return STILL;
  const resting = new Set(settled.tracks);
  const tracks = new Set(doc.tracks.filter((track) => !resting.has(track)));
  let points = 0;
  for (const track of tracks) points += track.points.length;
  return { tracks, heavy: points > HEAVY };
}
