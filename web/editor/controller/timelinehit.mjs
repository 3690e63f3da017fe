/**
 * Where things lie on the timeline: rows, frames, and what is under the pointer.
 *
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {{width: number, height: number, scroll: number}} Strip css, `scroll` down the rows
 *
 * @typedef {{part: "ruler" | "start" | "end" | "bar" | "key" | "label", track: Track | null,
 *   index: number}} TimelineHit
 */
import { isVisible } from "../model/layers.mjs";
import { keysOf } from "../model/sampling.mjs";

export const RULER = 20;
export const ROW = 20;
export const LABEL = 64;
const PAD = 12;
const EDGE = 6;

/** @param {State} state @returns {Track[]} the rows, in the order of the layers */
export function rowsOf(state) {
  const order = new Map(state.doc.entities.map((e, i) => [/** @type {string | null} */ (e.id), i]));
  order.set(null, state.doc.entities.length);
  const rank = (/** @type {Track} */ t) => order.get(t.entity) ?? 0;
  return state.doc.tracks.filter((t) => isVisible(state, t)).sort((a, b) => rank(a) - rank(b));
}

/** @param {State} state @param {Strip} strip @param {number} frame */
export function frameToX({ doc }, { width }, frame) {
  return LABEL + PAD + (frame / Math.max(1, doc.frames - 1)) * (width - LABEL - 2 * PAD);
}

/** @param {State} state @param {Strip} strip @param {number} x @returns {number} fractional */
export function xToFrame({ doc }, { width }, x) {
  return ((x - LABEL - PAD) / Math.max(1, width - LABEL - 2 * PAD)) * Math.max(1, doc.frames - 1);
}

/**
 * @param {State} state
 * @param {Strip} strip
 * @param {Vec} at
 * @param {number} [wider] how much larger the targets are
 * @returns {TimelineHit | null}
 */
export function timelineHit(state, strip, at, wider = 1) {
  if (at.y < RULER) return { part: "ruler", track: null, index: -1 };
  const track = rowsOf(state)[Math.floor((at.y - RULER + strip.scroll) / ROW)];
  if (!track) return null;
  if (at.x < LABEL) return { part: "label", track, index: -1 };
  for (const { index, frame } of keysOf(track).slice(1, -1)) {
    if (Math.abs(frameToX(state, strip, frame) - at.x) < EDGE * wider)
      return { part: "key", track, index };
  }
  const start = frameToX(state, strip, track.start);
  const end = frameToX(state, strip, track.end);
  const nearStart = Math.abs(at.x - start);
  const nearEnd = Math.abs(at.x - end);
  if (Math.min(nearStart, nearEnd) < (EDGE + 2) * wider) {
    const atEnd = nearEnd < nearStart || (nearEnd === nearStart && at.x >= end);
    return { part: atEnd ? "end" : "start", track, index: -1 };
  }
  if (at.x > start && at.x < end) return { part: "bar", track, index: -1 };
  return { part: "label", track, index: -1 };
}
