/**
 * What an edit that is going on has changed, and whether that is too much to draw in full.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Vec} Vec
 *
 * `tracks` as shown and `from` as committed, in the same order; `shift`: how far a heavy edit has
 * moved all of their points, in fractions of the frame; null where it has not moved them alike.
 * @typedef {{tracks: ReadonlySet<Track>, from: Track[], heavy: boolean, shift: Vec | null}} Motion
 */

/** Moving more control points than this is drawn as a sketch until it ends. */
const HEAVY = 400;
/** @type {Motion} */
const STILL = Object.freeze({ tracks: new Set(), from: [], heavy: false, shift: null });
/** What is not told apart, in fractions of the frame: coordinates are rounded. */
const ALIKE = 5e-5;

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
  const heavy = points > HEAVY;
  if (!heavy) return { tracks, from: [], heavy, shift: null };
  const before = new Map(settled.tracks.map((track) => [track.id, track]));
  const from = [...tracks].flatMap(({ id }) => before.get(id) ?? []);
  const shift = from.length === tracks.size ? shiftOf([...tracks], from) : null;
  return { tracks, from, heavy, shift };
}

/**
 * @param {Track[]} tracks
 * @param {Track[]} from the same, before
 * @returns {Vec | null} null where anything but their place has changed
 */
function shiftOf(tracks, from) {
  const shift = {
    x: tracks[0].points[0].x - from[0].points[0].x,
    y: tracks[0].points[0].y - from[0].points[0].y,
  };
  const near = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a - b) <= ALIKE;
  /** @typedef {import("./types.mjs").Pair | undefined} Handle */
  const bent = (/** @type {Handle} */ a, /** @type {Handle} */ b) =>
    a === b || (!!a && !!b && near(a[0], b[0]) && near(a[1], b[1]));
  const alike = tracks.every((track, n) => {
    const old = from[n];
    if (track.curve !== old.curve || track.tension !== old.tension) return false;
    if (track.points.length !== old.points.length) return false;
    return track.points.every((p, i) => {
      const o = old.points[i];
      const moved = near(p.x - o.x, shift.x) && near(p.y - o.y, shift.y);
      return moved && bent(p.arrive, o.arrive) && bent(p.leave, o.leave);
    });
  });
  return alike ? shift : null;
}
