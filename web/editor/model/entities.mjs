/**
 * Entities, the order of layers, and the colours of tracks.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Entity} Entity
 */
import { LIMITS, PALETTE } from "./document.mjs";
import { freshId, trackById } from "./tracks.mjs";

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
  const color = PALETTE.find((c) => !used.has(c)) ?? PALETTE[doc.entities.length % PALETTE.length];
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
 * Put an entity before or after another.
 * @param {Doc} doc
 * @param {string} id
 * @param {string} other
 * @param {boolean} after
 * @returns {Doc}
 */
export function placeEntity(doc, id, other, after) {
  const moving = doc.entities.find((entity) => entity.id === id);
  if (!moving || id === other) return doc;
  const entities = doc.entities.filter((entity) => entity !== moving);
  entities.splice(entities.findIndex((e) => e.id === other) + Number(after), 0, moving);
  return { ...doc, entities };
}

/**
 * Give a track to an entity, before or after another of its tracks; first of them without one.
 * @param {Doc} doc
 * @param {string} id
 * @param {string | null} entity
 * @param {string | null} other
 * @param {boolean} after
 * @returns {Doc}
 */
export function placeTrack(doc, id, entity, other, after) {
  const track = trackById(doc, id);
  if (!track || id === other) return doc;
  const moving = track.entity === entity ? track : { ...track, entity };
  const tracks = doc.tracks.filter((t) => t !== track);
  const at = tracks.findIndex((t) => (other === null ? t.entity === entity : t.id === other));
  tracks.splice(at < 0 ? tracks.length : at + Number(after && other !== null), 0, moving);
  return { ...doc, tracks };
}
