/**
 * Edits of a document, each a pure function from document to document. Tracks that an edit does not
 * touch keep their identity, which is what the caches of sampling and view stand on.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Entity} Entity
 * @typedef {import("./types.mjs").Point} Point
 * @typedef {import("./types.mjs").Selection} Selection
 * @typedef {import("./types.mjs").Vec} Vec
 */
import { LIMITS, PALETTE } from "./document.mjs";
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
function tidy({ x, y, frame }) {
  const point = { x: fraction(x), y: fraction(y) };
  return frame === undefined ? point : { ...point, frame };
}

/**
 * @param {Doc} doc
 * @param {string} id
 */
export function trackById(doc, id) {
  return doc.tracks.find((track) => track.id === id);
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

/** @type {WeakMap<Doc, Map<string, string>>} */
const colors = new WeakMap();

/**
 * The colour each track is drawn in, by id: its entity's, or a free track's place in the palette.
 * `tora2.overlay.track_colors` says the same.
 * @param {Doc} doc
 * @returns {Map<string, string>}
 */
export function colorsOf(doc) {
  let result = colors.get(doc);
  if (!result) {
    const owners = new Map(doc.entities.map((entity) => [entity.id, entity.color]));
    const used = new Set(owners.values());
    const unused = PALETTE.filter((color) => !used.has(color));
    const spare = unused.length ? unused : PALETTE;
    let next = 0;
    result = new Map();
    for (const { id, entity } of doc.tracks) {
      result.set(id, owners.get(entity ?? "") ?? spare[next++ % spare.length]);
    }
    colors.set(doc, result);
  }
  return result;
}

/**
 * @param {Doc} doc
 * @param {string} name
 * @returns {{doc: Doc, id: string} | null} null when there is room for no more
 */
export function addEntity(doc, name) {
  if (doc.entities.length >= LIMITS.entities) return null;
  const id = freshId(doc.entities, "e");
  const used = new Set(doc.entities.map((entity) => entity.color));
  const color =
    PALETTE.find((c) => !used.has(c)) ?? PALETTE[doc.entities.length % PALETTE.length];
  return { doc: { ...doc, entities: [...doc.entities, { id, name, color }] }, id };
}

/**
 * @param {Doc} doc
 * @param {string} id
 * @param {Partial<Pick<Entity, "name" | "color">>} patch
 * @returns {Doc}
 */
export function updateEntity(doc, id, patch) {
  return { ...doc, entities: doc.entities.map((e) => (e.id === id ? { ...e, ...patch } : e)) };
}

/**
 * Remove an entity together with its tracks.
 * @param {Doc} doc
 * @param {string} id
 * @returns {Doc}
 */
export function removeEntity(doc, id) {
  return {
    ...doc,
    entities: doc.entities.filter((entity) => entity.id !== id),
    tracks: doc.tracks.filter((track) => track.entity !== id),
  };
}

/**
 * @template {{id: string}} T
 * @param {T[]} items
 * @param {string} id
 * @param {number} step -1 or 1
 */
function moved(items, id, step) {
  const from = items.findIndex((item) => item.id === id);
  const to = from + step;
  if (from < 0 || to < 0 || to >= items.length) return items;
  const result = items.slice();
  [result[from], result[to]] = [result[to], result[from]];
  return result;
}

/**
 * @param {Doc} doc
 * @param {string} id
 * @param {number} step
 * @returns {Doc}
 */
export function moveEntity(doc, id, step) {
  return { ...doc, entities: moved(doc.entities, id, step) };
}

/**
 * Move a track among the tracks of its entity.
 * @param {Doc} doc
 * @param {string} id
 * @param {number} step
 * @returns {Doc}
 */
export function moveTrack(doc, id, step) {
  const track = trackById(doc, id);
  if (!track) return doc;
  const siblings = moved(
    doc.tracks.filter((t) => t.entity === track.entity),
    id,
    step,
  );
  let next = 0;
  const tracks = doc.tracks.map((t) => (t.entity === track.entity ? siblings[next++] : t));
  return { ...doc, tracks };
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
    return { x: point.x, y: point.y };
  });
  return changed ? { ...track, points } : track;
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
 * @param {(point: Point) => Vec} move fractions to fractions
 * @returns {Doc}
 */
export function mapPoints(doc, selection, move) {
  return {
    ...doc,
    tracks: doc.tracks.map((track) => {
      const chosen = selection.get(track.id);
      if (!chosen?.size) return track;
      const points = track.points.map((point, i) =>
        chosen.has(i) ? tidy({ ...point, ...move(point) }) : point,
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
  return mapPoints(doc, selection, (p) => {
    const x = (p.x - centre.x) * width * scaleX;
    const y = (p.y - centre.y) * height * scaleY;
    return {
      x: centre.x + (x * cos - y * sin) / width,
      y: centre.y + (x * sin + y * cos) / height,
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
  return mapTracks(doc, [id], (track) => {
    if (track.points.length >= LIMITS.points) return track;
    const points = track.points.slice();
    points.splice(index, 0, tidy(point));
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

/**
 * Tie a point to a frame, or untie it with null. Ends move the track's start or end.
 * @param {Doc} doc
 * @param {string} id
 * @param {number} index
 * @param {number | null} frame clamped between the neighbouring keys
 * @returns {Doc}
 */
export function setKey(doc, id, index, frame) {
  return mapTracks(doc, [id], (track) => {
    const last = track.points.length - 1;
    if (frame !== null && index === 0) return withRange(track, frame, track.end);
    if (frame !== null && index === last) return withRange(track, track.start, frame);
    const points = track.points.slice();
    const { x, y } = points[index];
    if (frame === null) {
      points[index] = { x, y };
      return { ...track, points };
    }
    const [low, high] = keyRange(track, index);
    if (low > high) return track;
    points[index] = { x, y, frame: Math.min(high, Math.max(low, Math.round(frame))) };
    return { ...track, points };
  });
}

/**
 * The frames an inner point may be tied to.
 * @param {Track} track
 * @param {number} index
 * @returns {[number, number]}
 */
export function keyRange(track, index) {
  let low = track.start + 1;
  let high = track.end - 1;
  track.points.forEach(({ frame }, i) => {
    if (frame === undefined || i === 0 || i === track.points.length - 1) return;
    if (i < index) low = Math.max(low, frame + 1);
    if (i > index) high = Math.min(high, frame - 1);
  });
  return [low, high];
}

/**
 * Set when a track is visible; inner keys hold their frames and bound the range.
 * @param {Track} track
 * @param {number} start
 * @param {number} end
 * @returns {Track}
 */
export function withRange(track, start, end) {
  const inner = track.points.slice(1, -1).flatMap((p) => (p.frame === undefined ? [] : [p.frame]));
  const first = inner.length ? inner[0] - 1 : Infinity;
  const last = inner.length ? inner[inner.length - 1] + 1 : 0;
  const from = Math.max(0, Math.min(Math.round(start), first, track.end));
  const to = Math.max(Math.round(end), last, from);
  return { ...track, start: from, end: to };
}

/**
 * Shift a track in time, keys and all, within the clip.
 * @param {Track} track
 * @param {number} by frames
 * @param {number} frames of the clip
 * @returns {Track}
 */
export function shifted(track, by, frames) {
  const step = Math.max(-track.start, Math.min(frames - 1 - track.end, Math.round(by)));
  if (step === 0) return track;
  const points = track.points.map((p) =>
    p.frame === undefined ? p : { ...p, frame: p.frame + step },
  );
  return { ...track, start: track.start + step, end: track.end + step, points };
}

/**
 * Run a track backwards: the same places in the opposite order and time.
 * @param {Track} track
 * @returns {Track}
 */
export function reversed(track) {
  const points = track.points
    .map((p) => (p.frame === undefined ? p : { ...p, frame: track.start + track.end - p.frame }))
    .reverse();
  const turned = /** @type {const} */ ({ in: "out", out: "in" });
  const easing = track.easing === "in" || track.easing === "out" ? turned[track.easing] : track.easing;
  return { ...track, points, easing };
}

/**
 * Give a document another size and length. Points keep their fractions of the frame, times keep
 * their fraction of the clip; keys that would fall on one another are let go.
 * @param {Doc} doc
 * @param {{width?: number, height?: number, frames?: number}} size
 * @returns {Doc}
 */
export function resized(doc, { width = doc.width, height = doc.height, frames = doc.frames }) {
  if (width === doc.width && height === doc.height && frames === doc.frames) return doc;
  if (frames === doc.frames) return { ...doc, width, height };
  const scale = doc.frames > 1 ? (frames - 1) / (doc.frames - 1) : 0;
  const at = (/** @type {number} */ frame) => Math.floor(frame * scale + 0.5);
  const tracks = doc.tracks.map((track) =>
    normalised({
      ...track,
      start: at(track.start),
      end: at(track.end),
      points: track.points.map((p) => (p.frame === undefined ? p : { ...p, frame: at(p.frame) })),
    }),
  );
  return { ...doc, width, height, frames, tracks };
}

/**
 * Add the tracks of another document, with their entities where ours have no such name.
 * @param {Doc} doc
 * @param {Doc} other
 * @param {Vec} [offset] fractions
 * @returns {{doc: Doc, ids: string[]}} `ids` of the tracks that found room
 */
export function merge(doc, other, offset = { x: 0, y: 0 }) {
  let next = doc;
  /** @type {Map<string, string>} */
  const owners = new Map();
  for (const entity of other.entities) {
    const known = next.entities.find((e) => e.name === entity.name);
    const added = known ? null : addEntity(next, entity.name);
    if (added) next = updateEntity(added.doc, added.id, { color: entity.color });
    const id = known?.id ?? added?.id;
    if (id) owners.set(entity.id, id);
  }
  const ids = [];
  for (const track of resized(other, { frames: doc.frames }).tracks) {
    const points = track.points.map((p) => ({ ...p, x: p.x + offset.x, y: p.y + offset.y }));
    const entity = owners.get(track.entity ?? "") ?? null;
    const added = addTrack(next, { ...track, entity, points });
    if (!added) break;
    next = added.doc;
    ids.push(added.id);
  }
  return { doc: next, ids };
}

/**
 * The selected tracks and their entities, as a document of their own: what the clipboard holds.
 * @param {Doc} doc
 * @param {Iterable<string>} ids
 * @returns {Doc}
 */
export function extract(doc, ids) {
  const wanted = new Set(ids);
  const tracks = doc.tracks.filter((track) => wanted.has(track.id));
  const owners = new Set(tracks.map((track) => track.entity));
  return { ...doc, tracks, entities: doc.entities.filter((entity) => owners.has(entity.id)) };
}
