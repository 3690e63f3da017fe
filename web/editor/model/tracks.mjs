/**
 * Edits of tracks and points, each a pure function from document to document. Tracks that an edit
 * does not touch keep their identity, which the caches of sampling and view rely on.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Point} Point
 * @typedef {import("./types.mjs").Selection} Selection
 * @typedef {import("./types.mjs").Vec} Vec
 */
import { LIMITS } from "./document.mjs";
import { bounds } from "./geometry.mjs";

/** Decimals of a stored fraction: a thousandth of a pixel at 1,000 px. */
const PRECISION = 1e6;

/** @param {number} value */
function fraction(value) {
  const bounded = Math.min(LIMITS.fraction, Math.max(-LIMITS.fraction, value));
  return Math.round(bounded * PRECISION) / PRECISION + 0;
}

/**
 * @param {Point} point
 * @returns {Point}
 */
function tidy(point) {
  const { x, y, scale, arrive, leave } = point;
  /** @type {Point} */
  const result = { ...point, x: fraction(x), y: fraction(y) };
  if (scale !== undefined) result.scale = sizeOf(scale);
  if (arrive) result.arrive = [fraction(arrive[0]), fraction(arrive[1])];
  if (leave) result.leave = [fraction(leave[0]), fraction(leave[1])];
  return result;
}

/** A size that a document can hold. @param {number} value */
export function sizeOf(value) {
  const bounded = Math.min(LIMITS.maxScale, Math.max(LIMITS.minScale, value));
  return Math.round(bounded * 1000) / 1000;
}

/** The point, not tied to any frame. @param {Point} point @returns {Point} */
export function untied({ frame, ...point }) {
  return point;
}

/**
 * @param {Doc} doc
 * @param {string} id
 */
export function trackById(doc, id) {
  return doc.tracks.find((track) => track.id === id);
}

/** What a track is called. @param {Track} track */
export function titleOf({ name, id }) {
  return name ?? id;
}

/**
 * @param {{id: string}[]} items
 * @param {string} prefix
 */
export function freshId(items, prefix) {
  const taken = new Set(items.map((item) => item.id));
  let n = items.length + 1;
  while (taken.has(`${prefix}${n}`)) n++;
  return `${prefix}${n}`;
}

/**
 * @param {Doc} doc
 * @param {Partial<Track> & {points: Point[]}} fields
 * @returns {{doc: Doc, id: string} | null} null when there is room for no more
 */
export function addTrack(doc, fields) {
  if (doc.tracks.length >= LIMITS.tracks || fields.points.length === 0) return null;
  const id = freshId(doc.tracks, "t");
  const track = normalised({
    entity: null,
    curve: "spline",
    start: 0,
    end: doc.frames - 1,
    easing: "linear",
    ...fields,
    id,
    points: fields.points.slice(0, LIMITS.points).map(tidy),
  });
  return { doc: { ...doc, tracks: [...doc.tracks, track] }, id };
}

/**
 * Strip frames that say nothing (both ends) or contradict their neighbours.
 * @param {Track} track
 * @returns {Track}
 */
export function normalised(track) {
  let previous = track.start;
  let changed = false;
  const last = track.points.length - 1;
  const points = track.points.map((point, i) => {
    if (point.frame === undefined) return point;
    if (i > 0 && i < last && point.frame > previous && point.frame < track.end) {
      previous = point.frame;
      return point;
    }
    changed = true;
    return untied(point);
  });
  const tidied = NEW.every((key) => !(key in track) || says(track, key)) ? track : said(track);
  return changed ? { ...tidied, points } : tidied;
}

/** What version 2 of the document says of a track. */
const NEW = /** @type {const} */ (["name", "group", "before", "after", "hidden", "tension"]);

/** Whether a field says anything that its absence does not. @param {Track} track @param {typeof NEW[number]} key */
function says(track, key) {
  if (key === "hidden") return Boolean(track.hidden?.length);
  return Boolean(track[key]) && track[key] !== "absent";
}

/** The track without fields that say nothing. @param {Track} track @returns {Track} */
function said(track) {
  const result = { ...track };
  for (const key of NEW) if (!says(track, key)) delete result[key];
  return result;
}

/**
 * @param {Doc} doc
 * @param {Iterable<string>} ids
 * @param {(track: Track) => Track} change
 * @returns {Doc}
 */
export function mapTracks(doc, ids, change) {
  const wanted = new Set(ids);
  return {
    ...doc,
    tracks: doc.tracks.map((track) => (wanted.has(track.id) ? normalised(change(track)) : track)),
  };
}

/**
 * @param {Doc} doc
 * @param {Iterable<string>} ids
 * @param {Partial<Track>} patch
 * @returns {Doc}
 */
export function updateTracks(doc, ids, patch) {
  return mapTracks(doc, ids, (track) => ({ ...track, ...patch }));
}

/**
 * @param {Doc} doc
 * @param {Iterable<string>} ids
 * @returns {Doc}
 */
export function removeTracks(doc, ids) {
  const gone = new Set(ids);
  return { ...doc, tracks: doc.tracks.filter((track) => !gone.has(track.id)) };
}

/**
 * @param {Doc} doc
 * @param {Selection} selection
 * @param {(point: Point) => Partial<Point>} move fractions to fractions
 */
function mapPoints(doc, selection, move) {
  return patchPoints(doc, selection, (point) => ({ ...point, ...move(point) }));
}

/**
 * Change the selected points.
 * @param {Doc} doc
 * @param {Selection} selection
 * @param {(point: Point, index: number, track: Track) => Point} change
 * @returns {Doc}
 */
export function patchPoints(doc, selection, change) {
  return {
    ...doc,
    tracks: doc.tracks.map((track) => {
      const chosen = selection.get(track.id);
      if (!chosen?.size) return track;
      const points = track.points.map((point, i) =>
        chosen.has(i) ? tidy(change(point, i, track)) : point,
      );
      return { ...track, points };
    }),
  };
}

/**
 * @param {Doc} doc
 * @param {Selection} selection
 * @param {Vec} by fractions
 */
export function movePoints(doc, selection, by) {
  return mapPoints(doc, selection, (p) => ({ x: p.x + by.x, y: p.y + by.y }));
}

/**
 * Mirror, scale and rotate about a point, in pixels so that angles stay true.
 * @param {Doc} doc
 * @param {Selection} selection
 * @param {{scaleX?: number, scaleY?: number, angle?: number}} by `angle` in radians, clockwise
 * @param {Vec} [about] fractions; the middle of the selection without it
 */
export function transformPoints(doc, selection, { scaleX = 1, scaleY = 1, angle = 0 }, about) {
  const box = bounds(selectedPoints(doc, selection));
  if (!box) return doc;
  const centre = about ?? { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
  const { width, height } = doc;
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const turn = (/** @type {number} */ dx, /** @type {number} */ dy) => {
    const x = dx * width * scaleX;
    const y = dy * height * scaleY;
    /** @type {import("./types.mjs").Pair} */
    const result = [(x * cos - y * sin) / width, (x * sin + y * cos) / height];
    return result;
  };
  return mapPoints(doc, selection, (p) => {
    const [x, y] = turn(p.x - centre.x, p.y - centre.y);
    return {
      x: centre.x + x,
      y: centre.y + y,
      ...(p.arrive && { arrive: turn(...p.arrive) }),
      ...(p.leave && { leave: turn(...p.leave) }),
    };
  });
}

/**
 * @param {Doc} doc
 * @param {Selection} selection
 * @returns {Point[]}
 */
export function selectedPoints(doc, selection) {
  return doc.tracks.flatMap((track) => {
    const chosen = selection.get(track.id);
    return chosen ? track.points.filter((_, i) => chosen.has(i)) : [];
  });
}

/**
 * @param {Doc} doc
 * @param {string} id
 * @param {number} index the new point's
 * @param {Point} point
 * @returns {Doc}
 */
export function insertPoint(doc, id, index, point) {
  const leader = trackById(doc, id);
  if (!leader) return doc;
  const [first] = leader.points;
  const one = (/** @type {Track} */ { id: other, group, points }) =>
    other === id || (group !== undefined && group === leader.group && points.length >= index);
  const ids = doc.tracks.filter(one).map((track) => track.id);
  return mapTracks(doc, ids, (track) => {
    if (track.points.length >= LIMITS.points) return track;
    const [own] = track.points;
    const points = track.points.slice();
    const [dx, dy] = [own.x - first.x, own.y - first.y];
    points.splice(index, 0, tidy({ ...point, x: point.x + dx, y: point.y + dy }));
    return { ...track, points };
  });
}

/**
 * Remove the selected points; a track that loses its last point goes with it.
 * @param {Doc} doc
 * @param {Selection} selection
 * @returns {Doc}
 */
export function removePoints(doc, selection) {
  const tracks = doc.tracks.flatMap((track) => {
    const chosen = selection.get(track.id);
    if (!chosen?.size) return [track];
    const points = track.points.filter((_, i) => !chosen.has(i));
    return points.length ? [normalised({ ...track, points })] : [];
  });
  return { ...doc, tracks };
}
