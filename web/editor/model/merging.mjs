/**
 * Tracks that leave for another document, and tracks that arrive.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Vec} Vec
 */
import { addEntity, updateEntity } from "./entities.mjs";
import { resized } from "./timing.mjs";
import { addTrack } from "./tracks.mjs";

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
