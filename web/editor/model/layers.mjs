/**
 * Layers: what is hidden, locked or shown alone, by the key of a layer or the id of a track.
 *
 * @typedef {import("./store.mjs").State} State
 * @typedef {import("./types.mjs").Selection} Selection
 * @typedef {import("./types.mjs").Track} Track
 *
 * What of it is kept with the node.
 * @typedef {{hidden: string[], locked: string[], collapsed?: string[]}} Layers
 */

/** @param {string | null} entity */
export function layerKey(entity) {
  return entity === null ? "free" : `entity:${entity}`;
}

/**
 * @param {State} state
 * @param {Track} track
 */
export function isVisible(state, track) {
  const layer = layerKey(track.entity);
  if (state.solo !== null && state.solo !== layer) return false;
  return !state.hidden.has(layer) && !state.hidden.has(track.id);
}

/**
 * @param {State} state
 * @param {Track} track
 */
export function isEditable(state, track) {
  if (state.readOnly || !isVisible(state, track)) return false;
  return !state.locked.has(layerKey(track.entity)) && !state.locked.has(track.id);
}

/**
 * The selection without tracks that may not be changed.
 * @param {State} state
 * @returns {Selection}
 */
export function editableSelection(state) {
  const ids = new Set(state.doc.tracks.filter((t) => isEditable(state, t)).map((t) => t.id));
  return new Map([...state.selection].filter(([id]) => ids.has(id)));
}
