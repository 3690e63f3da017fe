/**
 * Selections: which points of which tracks. All functions return a new selection.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Selection} Selection
 * @typedef {import("./types.mjs").Box} Box
 */
import { contains } from "./geometry.mjs";

/** @type {Selection} */
export const NOTHING = new Map();

/**
 * @param {Track} track
 * @returns {Set<number>}
 */
export function allPoints(track) {
  return new Set(track.points.keys());
}

/**
 * @param {Doc} doc
 * @param {Iterable<string>} ids
 * @returns {Selection}
 */
export function wholeTracks(doc, ids) {
  const wanted = new Set(ids);
  return new Map(doc.tracks.filter((t) => wanted.has(t.id)).map((t) => [t.id, allPoints(t)]));
}

/**
 * @param {Selection} selection
 * @param {Track} track
 */
export function isWhole(selection, track) {
  return selection.get(track.id)?.size === track.points.length;
}

/**
 * @param {Selection} a
 * @param {Selection} b
 * @returns {Selection}
 */
export function union(a, b) {
  const result = new Map(a);
  for (const [id, points] of b) result.set(id, new Set([...(result.get(id) ?? []), ...points]));
  return result;
}

/**
 * Add a point, or take it away when it is there.
 * @param {Selection} selection
 * @param {string} id
 * @param {Iterable<number>} points
 * @returns {Selection}
 */
export function toggle(selection, id, points) {
  const chosen = new Set(selection.get(id));
  const wanted = [...points];
  const all = wanted.every((i) => chosen.has(i));
  for (const i of wanted) all ? chosen.delete(i) : chosen.add(i);
  const result = new Map(selection);
  if (chosen.size) result.set(id, chosen);
  else result.delete(id);
  return result;
}

/**
 * The points inside a box of fractions.
 * @param {Iterable<Track>} tracks
 * @param {Box} box
 * @returns {Selection}
 */
export function inside(tracks, box) {
  /** @type {Selection} */
  const result = new Map();
  for (const track of tracks) {
    const points = new Set([...track.points.keys()].filter((i) => contains(box, track.points[i])));
    if (points.size) result.set(track.id, points);
  }
  return result;
}

/**
 * What of a selection still exists in a document.
 * @param {Selection} selection
 * @param {Doc} doc
 * @returns {Selection}
 */
export function surviving(selection, doc) {
  /** @type {Selection} */
  const result = new Map();
  for (const track of doc.tracks) {
    const points = [...(selection.get(track.id) ?? [])].filter((i) => i < track.points.length);
    if (points.length) result.set(track.id, new Set(points));
  }
  return result;
}

/**
 * The one selected point, if it is only one.
 * @param {Doc} doc
 * @param {Selection} selection
 * @returns {{track: Track, index: number} | null}
 */
export function onlyPoint(doc, selection) {
  if (selection.size !== 1) return null;
  const [[id, points]] = selection;
  const track = doc.tracks.find((t) => t.id === id);
  if (!track || points.size !== 1) return null;
  return { track, index: [...points][0] };
}
