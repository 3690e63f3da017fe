/**
 * Tracks that are moved as one: several points of a thing that does not bend.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Selection} Selection
 * @typedef {import("./types.mjs").Vec} Vec
 */
import { LIMITS } from "./document.mjs";
import { addTrack, freshId, mapTracks } from "./tracks.mjs";

/**
 * A selection with the same points of all tracks of a group.
 * @param {Doc} doc
 * @param {Selection} selection
 * @returns {Selection}
 */
export function grouped(doc, selection) {
  if (!doc.tracks.some((track) => track.group && selection.has(track.id))) return selection;
  /** @type {Map<string, Set<number>>} */
  const wanted = new Map();
  for (const { id, group } of doc.tracks) {
    const points = selection.get(id);
    if (!group || !points) continue;
    wanted.set(group, new Set([...(wanted.get(group) ?? []), ...points]));
  }
  const result = new Map(selection);
  for (const { id, group, points } of doc.tracks) {
    const chosen = wanted.get(group ?? "");
    if (chosen) result.set(id, new Set([...chosen].filter((i) => i < points.length)));
  }
  return result;
}

/**
 * Tracks that go as a leader goes, from other places; or that rest there, without one. They and the
 * leader are one group.
 * @param {Doc} doc
 * @param {Vec[]} places fractions, where each is at first
 * @param {Track | undefined} leader
 * @param {string | null} entity of those without a leader
 * @returns {{doc: Doc, ids: string[]}}
 */
export function rigid(doc, places, leader, entity) {
  const groups = doc.tracks.flatMap(({ group }) => (group ? [{ id: group }] : []));
  const group = leader?.group ?? freshId(groups, "g");
  let next = leader && places.length ? mapTracks(doc, [leader.id], (t) => ({ ...t, group })) : doc;
  const ids = leader ? [leader.id] : [];
  for (const { x, y } of places.slice(0, LIMITS.tracks)) {
    const draft = leader ? moved(leader, x, y) : { points: [{ x, y }], entity };
    const added = addTrack(next, { ...draft, group });
    if (!added) break;
    next = added.doc;
    ids.push(added.id);
  }
  return { doc: next, ids };
}

/** @param {Track} leader @param {number} x @param {number} y */
function moved({ name, ...leader }, x, y) {
  const [first] = leader.points;
  const points = leader.points.map((p) => ({ ...p, x: p.x + x - first.x, y: p.y + y - first.y }));
  return { ...leader, points };
}
