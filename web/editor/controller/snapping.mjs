/**
 * Snapping in px: to the grid, to the frame's edges, middle and thirds, and to other points.
 *
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {import("../model/store.mjs").Guides} Guides
 */
import { isVisible } from "../model/layers.mjs";

const REACH_CSS = 7;
const GUIDES = [0, 1 / 3, 1 / 2, 2 / 3, 1];

/**
 * @param {State} state
 * @param {Vec} px
 * @param {number} scale css per px
 * @returns {{at: Vec, guides: Guides | null}} `guides` are the lines that took hold
 */
export function snapped(state, px, scale) {
  const reach = REACH_CSS / scale;
  const { width, height } = state.doc;
  if (state.grid > 0) {
    const cell = width / state.grid;
    return {
      at: { x: Math.round(px.x / cell) * cell, y: Math.round(px.y / cell) * cell },
      guides: null,
    };
  }
  if (!state.snap) return { at: px, guides: null };
  const xs = GUIDES.map((g) => g * width);
  const ys = GUIDES.map((g) => g * height);
  for (const track of state.doc.tracks) {
    if (!isVisible(state, track)) continue;
    const moving = state.selection.get(track.id);
    track.points.forEach((point, i) => {
      if (moving?.has(i)) return;
      xs.push(point.x * width);
      ys.push(point.y * height);
    });
  }
  const x = closest(xs, px.x, reach);
  const y = closest(ys, px.y, reach);
  return {
    at: { x: x ?? px.x, y: y ?? px.y },
    guides: x === null && y === null ? null : { x, y },
  };
}

/**
 * @param {number[]} lines
 * @param {number} value
 * @param {number} reach
 */
function closest(lines, value, reach) {
  let best = null;
  let off = reach;
  for (const line of lines) {
    const d = Math.abs(line - value);
    if (d < off) {
      best = line;
      off = d;
    }
  }
  return best;
}
