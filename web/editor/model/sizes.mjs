/**
 * How large an entity is shown along its path. Of size 1 it has the height that its cut-out is given,
 * as in `tora2.placing`.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {{start: number, end: number}} Heights of a thing where its path starts and ends, of the
 *   frame's
 * @typedef {{name: string, heights: Heights | null}} CutOut `heights` is null where it is not known
 * @typedef {import("./types.mjs").Track} Track
 */
import { frameAtLength, sampleTrack } from "./sampling.mjs";

/** Where no cut-out says another: what Tora2 Cut-out has at first. */
const HEIGHTS = Object.freeze({ start: 0.5, end: 0.5 });
/** Along a path it is shown about this often. */
const SHOWN = 6;

/**
 * What the cut-outs say of entities and free tracks, by id. As in `tora2.placing`: those with names
 * choose first, then each takes the next that has a path and no cut-out.
 * @param {Doc} doc
 * @param {CutOut[]} cutOuts
 * @returns {Map<string, Heights>}
 */
export function heightsIn({ entities, tracks }, cutOuts) {
  const owned = entities.filter(({ id }) => tracks.some(({ entity }) => entity === id));
  const free = tracks.filter(({ entity }) => entity === null).map(({ id }) => ({ id, name: id }));
  /** @type {Map<string, Heights | null>} */
  const taken = new Map();
  const named = cutOuts.filter(({ name }) => name);
  for (const { name, heights } of [...named, ...cutOuts.filter(({ name }) => !name)]) {
    const meant = (/** @type {{id: string, name: string}} */ one) =>
      [one.id, one.name].some((word) => word.toLowerCase() === name.toLowerCase());
    const owner = [...owned, ...free].find((one) => (name ? meant(one) : !taken.has(one.id)));
    if (owner) taken.set(owner.id, heights);
  }
  return new Map([...taken].flatMap(([id, heights]) => (heights ? [[id, heights]] : [])));
}

/**
 * The height of a track's entity of size 1 at a frame; between its ends it changes evenly in time.
 * @param {{doc: Doc, heights: ReadonlyMap<string, Heights>}} state
 * @param {Track} track
 * @param {number} frame
 * @returns {number} px
 */
export function heightOf({ doc, heights }, { entity, id, start, end }, frame) {
  const given = heights.get(entity ?? id) ?? HEIGHTS;
  const part = Math.min(1, Math.max(0, (frame - start) / Math.max(end - start, 1)));
  return doc.height * (given.start + part * (given.end - given.start));
}

/**
 * The size at a control point.
 * @param {Doc} doc
 * @param {Track} track
 * @param {number} index
 */
export function scaleAt(doc, track, index) {
  const { scale } = track.points[index];
  if (scale !== undefined) return scale;
  const sampled = sampleTrack(track, doc);
  return sampled.scale[frameOfPoint(doc, track, index)];
}

/** The frame at which a track passes a control point. @param {Doc} doc @param {Track} track @param {number} index */
export function frameOfPoint(doc, track, index) {
  const { points, start, end } = track;
  if (index === 0) return start;
  if (index === points.length - 1) return end;
  const { path } = sampleTrack(track, doc);
  const frame = points[index].frame ?? frameAtLength(track, doc, path.length[path.knots[index]]);
  return Math.min(end, Math.max(start, Math.round(frame)));
}

/** The frames at which a track's entity is shown along its path. @param {Track} track */
export function shownFrames({ start, end }) {
  const count = Math.min(SHOWN, end - start);
  const frames = Array.from({ length: count + 1 }, (_, i) =>
    Math.round(start + (i * (end - start)) / Math.max(1, count)),
  );
  return [...new Set(frames)];
}
