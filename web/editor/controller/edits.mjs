/**
 * What commands do: edits of the selected tracks, and of what is selected and shown.
 *
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/types.mjs").Track} Track
 */
import { LIMITS } from "../model/document.mjs";
import { addEntity } from "../model/entities.mjs";
import { simplify } from "../model/geometry.mjs";
import { editableSelection, isEditable } from "../model/layers.mjs";
import { extract, merge } from "../model/merging.mjs";
import { NOTHING, onlyPoint, wholeTracks } from "../model/selection.mjs";
import { grouped, rigid } from "../model/groups.mjs";
import { cellsOf, connected, inverted, middleOf, parts, spread } from "../model/spreading.mjs";
import { tangentsAt } from "../model/geometry.mjs";
import { bends } from "../model/sampling.mjs";
import { reversed, setKey, shifted, timed, timingOf, withRange } from "../model/timing.mjs";
import {
  addTrack,
  insertPoint,
  mapTracks,
  movePoints,
  patchPoints,
  removePoints,
  trackById,
  transformPoints,
  updateTracks,
} from "../model/tracks.mjs";

/** No track is being drawn. */
const ENDED = Object.freeze({ drawing: null, cursor: null });
const PASTE_OFFSET = 0.03;
const SIMPLIFY_PX = 1;
/** A point that is added by key lies this far (of the width) from the last. */
const STEP = 0.06;

/**
 * The selected tracks that may be changed.
 * @param {{state: State}} store
 * @returns {string[]}
 */
export function chosen({ state }) {
  const selection = editableSelection(state);
  return state.doc.tracks.filter((track) => selection.has(track.id)).map((track) => track.id);
}

/** @param {State} state */
export function firstChosen({ doc, selection }) {
  return doc.tracks.find((track) => selection.has(track.id));
}

/** @param {Store} store */
export function selectAll(store) {
  const { state } = store;
  const ids = state.doc.tracks.filter((t) => isEditable(state, t)).map((t) => t.id);
  store.set({ selection: wholeTracks(state.doc, ids) });
}

/** @param {Store} store */
export function remove(store) {
  const selection = editableSelection(store.state);
  if (!selection.size) return;
  store.edit(removePoints(store.state.doc, selection), { selection: NOTHING, drawing: null });
}

/**
 * @param {Store} store
 * @param {Vec} px
 */
export function nudge(store, px) {
  const { doc } = store.state;
  const selection = editableSelection(store.state);
  const by = { x: px.x / doc.width, y: px.y / doc.height };
  if (selection.size) store.edit(movePoints(doc, selection, by), {}, true);
}

/**
 * @param {Store} store
 * @param {{scaleX?: number, scaleY?: number, angle?: number}} by
 */
export function transformSelection(store, by) {
  const selection = editableSelection(store.state);
  if (selection.size) store.edit(transformPoints(store.state.doc, selection, by));
}

/** @param {Store} store */
export function duplicate(store) {
  const ids = chosen(store);
  if (ids.length) insert(store, extract(store.state.doc, ids), true);
}

/**
 * Add the tracks of another document, selected.
 * @param {Store} store
 * @param {Doc} other
 * @param {boolean} [aside] a little off, so that a copy does not hide its original
 * @returns {number} how many tracks were added
 */
export function insert(store, other, aside = false) {
  const { doc } = store.state;
  const off = aside ? PASTE_OFFSET : 0;
  const { doc: next, ids } = merge(doc, other, { x: off, y: off });
  if (ids.length) {
    store.edit(next, { selection: wholeTracks(next, ids), tool: "select", drawing: null });
  }
  return ids.length;
}

/** @param {Store} store @param {Partial<Track>} patch */
export function update(store, patch) {
  const ids = chosen(store);
  if (ids.length) store.edit(updateTracks(store.state.doc, ids, patch));
}

/** How the first of the selected tracks is curved, else a new one. @param {State} state */
export function curveOf({ doc, selection, curve }) {
  return doc.tracks.find((track) => selection.has(track.id))?.curve ?? curve;
}

/** @param {Store} store */
export function toggleCurve(store) {
  const ids = chosen(store);
  const first = store.state.doc.tracks.find((t) => t.id === ids[0]);
  const curve = (first?.curve ?? store.state.curve) === "spline" ? "linear" : "spline";
  store.set({ curve });
  update(store, { curve });
}

/** @param {Store} store */
export function reverse(store) {
  const ids = chosen(store);
  if (ids.length) store.edit(mapTracks(store.state.doc, ids, reversed));
}

/** Drop the points that hardly bend the path; points tied to a frame stay. @param {Store} store */
export function simplifySelection(store) {
  const { doc } = store.state;
  const ids = chosen(store);
  if (!ids.length) return;
  const thin = (/** @type {Track} */ track) => {
    const px = track.points.map((p) => ({ ...p, x: p.x * doc.width, y: p.y * doc.height }));
    const kept = simplify(px, SIMPLIFY_PX).map((p) => track.points[px.indexOf(p)]);
    return { ...track, points: kept };
  };
  const next = mapTracks(doc, ids, thin);
  store.edit(next, { selection: wholeTracks(next, ids) });
}

/** Tie the selected point to the playhead's frame, or untie it. @param {Store} store */
export function toggleKey(store) {
  const { doc, selection, frame } = store.state;
  const point = onlyPoint(doc, selection);
  if (!point || !isEditable(store.state, point.track)) return;
  const { track, index } = point;
  const tied = track.points[index].frame !== undefined;
  store.edit(setKey(doc, track.id, index, tied ? null : frame));
}

/**
 * Drawing without a pointer: a point after the selected one, halfway to the next or a step on from
 * the last; without a selected point, a track in the middle of the frame.
 * @param {Store} store
 */
export function addPoint(store) {
  const { doc, selection, entity, curve, readOnly } = store.state;
  if (readOnly) return;
  const only = onlyPoint(doc, selection);
  if (!only) {
    const added = addTrack(doc, { points: [{ x: 0.5, y: 0.5 }], entity, curve });
    if (added) store.edit(added.doc, { selection: wholeTracks(added.doc, [added.id]) });
    return;
  }
  const { track, index } = only;
  if (!isEditable(store.state, track) || track.points.length >= LIMITS.points) return;
  const here = track.points[index];
  const next = track.points[index + 1];
  const point = next
    ? { x: (here.x + next.x) / 2, y: (here.y + next.y) / 2 }
    : { x: here.x + STEP, y: here.y };
  store.edit(insertPoint(doc, track.id, index + 1, point), {
    selection: new Map([[track.id, new Set([index + 1])]]),
  });
}

/** The size of the entity at the selected points, or none of their own. @param {Store} store @param {number | null} scale */
export function resize(store, scale) {
  const selection = editableSelection(store.state);
  if (!selection.size) return;
  store.edit(
    patchPoints(store.state.doc, selection, ({ scale: _, ...point }) =>
      scale === null ? point : { ...point, scale },
    ),
  );
}

/** Give the selected points Bezier handles where the spline runs now, or take them away. @param {Store} store */
export function toggleHandles(store) {
  const { doc } = store.state;
  const selection = editableSelection(store.state);
  const bent = hasHandles(store.state);
  const { width, height } = doc;
  store.edit(
    patchPoints(doc, selection, ({ arrive, leave, ...point }, index, track) => {
      if (bent || track.points.length < 2) return point;
      const tangents = tangentsAt(bends(track, width, height), index, track.tension);
      return {
        ...point,
        ...(tangents.arrive && { arrive: fractions(tangents.arrive, doc) }),
        ...(tangents.leave && { leave: fractions(tangents.leave, doc) }),
      };
    }),
  );
}

/** @param {[number, number]} px @param {Doc} doc @returns {[number, number]} */
function fractions([x, y], { width, height }) {
  return [x / width, y / height];
}

/** Whether a selected point has handles. @param {State} state */
export function hasHandles(state) {
  return state.doc.tracks.some((track) =>
    [...(state.selection.get(track.id) ?? [])].some(
      (i) => track.points[i].arrive || track.points[i].leave,
    ),
  );
}

/** The timing that was copied last, of all editors of the page. @type {import("../model/timing.mjs").Timing | null} */
let copied = null;

/** @param {Store} store */
export function copyTiming(store) {
  const track = trackById(store.state.doc, chosen(store)[0]);
  if (track) copied = timingOf(track);
  store.set({}); // it can be pasted now
}

/** @param {Store} store */
export function pasteTiming(store) {
  const { doc } = store.state;
  const timing = copied;
  if (timing) store.edit(mapTracks(doc, chosen(store), (t) => timed(t, timing, doc.frames)));
}

/** Whether there is a timing to paste. */
export function hasTiming() {
  return copied !== null;
}

/** Wait, or be absent, outside the time of the selected tracks. @param {Store} store @param {"before" | "after"} side */
export function toggleWaiting(store, side) {
  const first = trackById(store.state.doc, chosen(store)[0]);
  if (first) update(store, { [side]: first[side] === "wait" ? "absent" : "wait" });
}

/** @param {Store} store */
export function ungroup(store) {
  update(store, { group: undefined });
}

/** Whether a selected track is moved as one with others. @param {State} state */
export function isGrouped({ doc, selection }) {
  return doc.tracks.some((track) => track.group && selection.has(track.id));
}

/**
 * Points of the thing at a place, which are moved as one; with a selected track they go as it goes.
 * @param {Store} store
 * @param {import("../model/spreading.mjs").Cells} cells
 */
export function spreadIn(store, cells) {
  const { doc, entity, spread: count } = store.state;
  const leader = trackById(doc, chosen(store)[0]);
  const first = leader?.points[0];
  const places = spread(cells, count, first ? [first] : []);
  const added = rigid(doc, places, leader, entity);
  if (!added.ids.length) return;
  const selection = grouped(added.doc, wholeTracks(added.doc, added.ids));
  store.edit(added.doc, { selection, tool: "select", drawing: null });
}

/** How many anchors hold a background. */
const ANCHORS = 12;
/** Nothing is known of the masks: anchors keep this far (of the frame) from the paths. */
const CLEAR = 0.12;

/**
 * Anchors all over the frame but in the masks, and away from the paths.
 * @param {Store} store
 * @param {import("../model/spreading.mjs").Cells | null} masks
 */
export function anchorOutside(store, masks) {
  const { doc } = store.state;
  const paths = doc.tracks.flatMap((track) => track.points);
  const free = masks
    ? inverted(masks)
    : cellsOf(doc, ({ x, y }) => paths.every((p) => Math.hypot(p.x - x, p.y - y) > CLEAR));
  let next = doc;
  const ids = [];
  for (const place of spread(free, ANCHORS)) {
    const added = addTrack(next, { points: [place], entity: null });
    if (!added) break;
    next = added.doc;
    ids.push(added.id);
  }
  if (ids.length) store.edit(next, { selection: wholeTracks(next, ids), drawing: null });
}

/** A track at the middle of every thing in the masks. @param {Store} store @param {import("../model/spreading.mjs").Cells} masks */
export function trackEach(store, masks) {
  const { entity } = store.state;
  let next = store.state.doc;
  const ids = [];
  for (const part of parts(masks)) {
    const place = middleOf(part);
    const added = place && addTrack(next, { points: [place], entity });
    if (!added) break;
    next = added.doc;
    ids.push(added.id);
  }
  if (ids.length)
    store.edit(next, { selection: wholeTracks(next, ids), tool: "select", drawing: null });
}

/** The part of the masks that a place lies in. @param {import("../model/spreading.mjs").Cells | null} masks @param {Vec} place */
export function thingAt(masks, place) {
  return masks && connected(masks, place);
}

/** @param {Store} store @param {"start" | "end"} edge */
export function trim(store, edge) {
  const { doc, frame } = store.state;
  const ids = chosen(store);
  if (!ids.length) return;
  store.edit(
    mapTracks(doc, ids, (t) =>
      edge === "start" ? withRange(t, Math.min(frame, t.end), t.end) : withRange(t, t.start, frame),
    ),
  );
}

/** @param {Store} store @param {number} by frames */
export function shiftTime(store, by) {
  const { doc } = store.state;
  const ids = chosen(store);
  if (ids.length) store.edit(mapTracks(doc, ids, (t) => shifted(t, by, doc.frames)));
}

/** @param {Store} store @param {string | null} entity */
export function assign(store, entity) {
  store.set({ entity });
  update(store, { entity });
}

/**
 * Give the tracks to come to an entity, or to none. A track that is being drawn for another ends.
 * @param {Store} store
 * @param {string | null} entity
 */
export function chooseEntity(store, entity) {
  store.set(entity === store.state.entity ? {} : { entity, ...ENDED });
}

/** @param {Store} store @param {string} name @returns {string | null} its id */
export function newEntity(store, name) {
  const added = addEntity(store.state.doc, name);
  if (added) store.edit(added.doc, { entity: added.id, ...ENDED });
  return added?.id ?? null;
}

/** @param {Store} store @param {number} frame */
export function goTo(store, frame) {
  const last = store.state.doc.frames - 1;
  store.set({ frame: Math.min(last, Math.max(0, Math.round(frame))) });
}

/**
 * Select the next point, track by track.
 * @param {Store} store
 * @param {number} step
 */
export function cyclePoint(store, step) {
  const { state } = store;
  const places = state.doc.tracks
    .filter((track) => isEditable(state, track))
    .flatMap((track) => track.points.map((_, index) => ({ id: track.id, index })));
  if (!places.length) return;
  const now = onlyPoint(state.doc, state.selection);
  const at = now ? places.findIndex((p) => p.id === now.track.id && p.index === now.index) : -1;
  const from = at < 0 && step < 0 ? 0 : at;
  const { id, index } = places[(from + step + places.length) % places.length];
  store.set({ selection: new Map([[id, new Set([index])]]), tool: "select" });
}

/** @param {Store} store @param {string} key a layer key or a track's id @param {"hidden" | "locked" | "collapsed"} what */
export function toggleFlag(store, key, what) {
  const next = new Set(store.state[what]);
  if (!next.delete(key)) next.add(key);
  store.set({ [what]: next });
}

/** @param {Store} store */
export function togglePlay(store) {
  const { playing, frame, doc, loop } = store.state;
  const restart = !playing && !loop && frame === doc.frames - 1;
  store.set({ playing: !playing, hover: null, ...(restart ? { frame: 0 } : {}) });
}

/** Finish the track that is being drawn, else select nothing. @param {Store} store */
export function finish(store) {
  if (store.state.drawing) store.set(ENDED);
  else store.set({ selection: NOTHING });
}
