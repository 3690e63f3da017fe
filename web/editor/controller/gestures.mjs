/**
 * What a pressed pointer does until it is let go. A gesture shows its edit as a preview and commits
 * it once, at the end.
 *
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/types.mjs").Selection} Selection
 * @typedef {import("../model/types.mjs").Viewport} Viewport
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("./hit.mjs").Grip} Grip
 *
 * @typedef {{css: Vec, button: number, pointer: "mouse" | "pen" | "touch",
 *   shift: boolean, alt: boolean, ctrl: boolean, zoom?: number}} Press `zoom`: how much larger than
 *   css pixels the page shows the canvas
 * @typedef {{move(press: Press): void, up(press: Press): void, cancel(): void}} Gesture
 */
import { boxOf, simplify } from "../model/geometry.mjs";
import { editableSelection, isEditable } from "../model/layers.mjs";
import { inside, NOTHING, union, wholeTracks } from "../model/selection.mjs";
import { addTrack, movePoints, transformPoints } from "../model/tracks.mjs";
import { panned, toPx } from "../model/viewport.mjs";
import { gripsOf, selectionBox, widening } from "./hit.mjs";
import { snapped } from "./snapping.mjs";

/** A pointer that moved less than this (css) has clicked. */
const CLICK = 3;
/** A freehand stroke keeps the points that are further than this (css) from a straight line. */
const FREEHAND_TOLERANCE = 1.75;

/**
 * Move the selected points; the one under the pointer snaps.
 * @param {Store} store
 * @param {Viewport} view
 * @param {Press} start
 * @param {Vec} anchor px, the place that snaps
 * @param {() => void} [onClick] when the pointer did not move
 * @returns {Gesture}
 */
export function dragPoints(store, view, start, anchor, onClick) {
  const from = store.state.doc;
  let moved = false;
  return {
    move(press) {
      if (!moved && far(press, start) < CLICK) return;
      moved = true;
      let dx = (press.css.x - start.css.x) / view.scale;
      let dy = (press.css.y - start.css.y) / view.scale;
      if (press.shift) {
        if (Math.abs(dx) > Math.abs(dy)) dy = 0;
        else dx = 0;
      }
      const free = { x: anchor.x + dx, y: anchor.y + dy };
      const { at, guides } = press.ctrl
        ? { at: free, guides: null }
        : snapped(store.state, free, view.scale);
      const by = {
        x: press.shift && dx === 0 ? 0 : (at.x - anchor.x) / from.width,
        y: press.shift && dy === 0 ? 0 : (at.y - anchor.y) / from.height,
      };
      store.preview(movePoints(from, editableSelection(store.state), by), { guides });
    },
    up() {
      store.edit(undefined, { guides: null });
      if (!moved) onClick?.();
    },
    cancel() {
      store.revert();
      store.set({ guides: null });
    },
  };
}

/**
 * Select what lies in a box.
 * @param {Store} store
 * @param {Viewport} view
 * @param {Press} start
 * @returns {Gesture}
 */
export function marquee(store, view, start) {
  const before = start.shift ? store.state.selection : NOTHING;
  const { width, height } = store.state.doc;
  const corner = toPx(view, start.css);
  const place = (/** @type {Vec} */ px) => ({ x: px.x / width, y: px.y / height });
  return {
    move(press) {
      const box = boxOf(place(corner), place(toPx(view, press.css)));
      const { state } = store;
      const tracks = state.doc.tracks.filter((track) => isEditable(state, track));
      store.set({ marquee: box, selection: union(before, inside(tracks, box)) });
    },
    up(press) {
      const clicked = far(press, start) < CLICK;
      store.set(clicked ? { marquee: null, selection: before } : { marquee: null });
    },
    cancel() {
      store.set({ marquee: null, selection: before });
    },
  };
}

/**
 * Scale or turn the selection by a grip of its box. Shift keeps proportions, or turns in steps of
 * 15 degrees; Alt scales about the middle.
 * @param {Store} store
 * @param {Viewport} view
 * @param {Press} start
 * @param {Grip} grip
 * @returns {Gesture}
 */
export function transform(store, view, start, grip) {
  const from = store.state.doc;
  const selection = editableSelection(store.state);
  const box = /** @type {import("../model/types.mjs").Box} */ (selectionBox(store.state, view));
  const middle = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
  const opposite = { nw: "se", ne: "sw", se: "nw", sw: "ne", rotate: "rotate" };
  const corner = gripsOf(box)[/** @type {Grip} */ (opposite[grip])];
  const toFraction = (/** @type {Vec} */ css) => {
    const px = toPx(view, css);
    return { x: px.x / from.width, y: px.y / from.height };
  };
  return {
    move(press) {
      const centre = grip === "rotate" || press.alt ? middle : corner;
      const change =
        grip === "rotate" ? turn(start.css, press, centre) : stretch(start.css, press, centre);
      store.preview(transformPoints(from, selection, change, toFraction(centre)));
    },
    up() {
      store.edit();
    },
    cancel() {
      store.revert();
    },
  };
}

/**
 * @param {Vec} start
 * @param {Press} press
 * @param {Vec} centre
 */
function turn(start, press, centre) {
  const angle =
    Math.atan2(press.css.y - centre.y, press.css.x - centre.x) -
    Math.atan2(start.y - centre.y, start.x - centre.x);
  const step = Math.PI / 12;
  return { angle: press.shift ? Math.round(angle / step) * step : angle };
}

/**
 * @param {Vec} start
 * @param {Press} press
 * @param {Vec} centre
 */
function stretch(start, press, centre) {
  const ratio = (/** @type {number} */ to, /** @type {number} */ from) =>
    Math.abs(from) < 1 ? 1 : to / from;
  const scaleX = ratio(press.css.x - centre.x, start.x - centre.x);
  const scaleY = ratio(press.css.y - centre.y, start.y - centre.y);
  if (!press.shift) return { scaleX, scaleY };
  const even = Math.abs(scaleX) > Math.abs(scaleY) ? scaleX : scaleY;
  return { scaleX: even, scaleY: even };
}

/**
 * Draw a track in one stroke.
 * @param {Store} store
 * @param {Viewport} view
 * @param {Press} start
 * @returns {Gesture}
 */
export function freehand(store, view, start) {
  const stroke = [toPx(view, start.css)];
  return {
    move(press) {
      stroke.push(toPx(view, press.css));
      store.set({ stroke: stroke.slice() });
    },
    up() {
      store.set({ stroke: null });
      const { doc, entity, curve } = store.state;
      const kept = simplify(stroke, FREEHAND_TOLERANCE / view.scale);
      const points = kept.map((p) => ({ x: p.x / doc.width, y: p.y / doc.height }));
      const added = stroke.length > 2 ? addTrack(doc, { points, entity, curve }) : null;
      if (added) store.edit(added.doc, { selection: wholeTracks(added.doc, [added.id]) });
    },
    cancel() {
      store.set({ stroke: null });
    },
  };
}

/**
 * Move the frame about on the canvas.
 * @param {Store} store
 * @param {Viewport} view
 * @param {Press} start
 * @returns {Gesture}
 */
export function pan(store, view, start) {
  return {
    move(press) {
      const by = { x: press.css.x - start.css.x, y: press.css.y - start.css.y };
      store.set({ viewport: panned(view, by) });
    },
    up() {},
    cancel() {},
  };
}

/**
 * @param {Press} a
 * @param {Press} b
 */
function far(a, b) {
  return Math.hypot(a.css.x - b.css.x, a.css.y - b.css.y) / widening(a);
}
