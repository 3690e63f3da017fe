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
import { boxOf, contains, simplify } from "../model/geometry.mjs";
import { editableSelection, isEditable } from "../model/layers.mjs";
import { inside, NOTHING, union, wholeTracks } from "../model/selection.mjs";
import { scaleAt } from "../model/sizes.mjs";
import { cellsOf } from "../model/spreading.mjs";
import { addTrack, movePoints, patchPoints, transformPoints } from "../model/tracks.mjs";
import { panned, toPx } from "../model/viewport.mjs";
import { spreadIn } from "./edits.mjs";
import { gripsOf, selectionBox, widening } from "./hit.mjs";
import { snapped } from "./snapping.mjs";

/** A pointer that moved less than this (css) has clicked. */
const CLICK = 3;
/** A freehand stroke keeps the points that are further than this (css) from a straight line. */
const FREEHAND_TOLERANCE = 1.75;
/** Where nothing is known of things, a click means a circle of this radius, of the shorter side. */
const CLICKED = 0.12;

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
 * Drag the end of a Bezier handle; the other side turns with it, unless Alt is held.
 * @param {Store} store
 * @param {Viewport} view
 * @param {import("./grips.mjs").PointGrip & {kind: "arrive" | "leave"}} grip
 * @returns {Gesture}
 */
export function dragHandle(store, view, { kind, track: id, index }) {
  const from = store.state.doc;
  const other = kind === "arrive" ? "leave" : "arrive";
  return {
    move(press) {
      const px = toPx(view, press.css);
      const selection = new Map([[id, new Set([index])]]);
      store.preview(
        patchPoints(from, selection, (point) => {
          /** @type {import("../model/types.mjs").Pair} */
          const handle = [px.x / from.width - point.x, px.y / from.height - point.y];
          const far = point[other];
          if (press.alt || !far) return { ...point, [kind]: handle };
          return { ...point, [kind]: handle, [other]: opposite(handle, far, from) };
        }),
      );
    },
    up: () => store.edit(),
    cancel: () => store.revert(),
  };
}

/**
 * A handle turned to lie opposite another, as long as it was.
 * @param {import("../model/types.mjs").Pair} handle
 * @param {import("../model/types.mjs").Pair} far
 * @param {{width: number, height: number}} size
 * @returns {import("../model/types.mjs").Pair}
 */
function opposite(handle, far, { width, height }) {
  const length = Math.hypot(handle[0] * width, handle[1] * height);
  if (length < 1e-6) return far;
  const ratio = Math.hypot(far[0] * width, far[1] * height) / length;
  return [-handle[0] * ratio, -handle[1] * ratio];
}

/**
 * Make the entity larger or smaller at the selected points.
 * @param {Store} store
 * @param {import("./grips.mjs").PointGrip} grip
 * @returns {Gesture}
 */
export function dragSize(store, grip) {
  const from = store.state.doc;
  const selection = editableSelection(store.state);
  const before = Math.hypot(grip.css.x - grip.from.x, grip.css.y - grip.from.y);
  return {
    move(press) {
      const now = Math.hypot(press.css.x - grip.from.x, press.css.y - grip.from.y);
      store.preview(
        patchPoints(from, selection, (point, i, track) => ({
          ...point,
          scale: scaleAt(from, track, i) * (now / before),
        })),
      );
    },
    up: () => store.edit(),
    cancel: () => store.revert(),
  };
}

/**
 * Set points that are moved as one: in the thing that is clicked, or in the box that is dragged; with
 * Alt, in the circle.
 * @param {Store} store
 * @param {Viewport} view
 * @param {Press} start
 * @param {(place: Vec) => import("../model/spreading.mjs").Cells | null} thing what lies at a place
 * @returns {Gesture}
 */
export function spreadOut(store, view, start, thing) {
  const { width, height } = store.state.doc;
  const place = (/** @type {Press} */ press) => {
    const px = toPx(view, press.css);
    return { x: px.x / width, y: px.y / height };
  };
  const from = place(start);
  const radius = (/** @type {Vec} */ to) =>
    Math.hypot((to.x - from.x) * width, (to.y - from.y) * height);
  const boxTo = (/** @type {Press} */ press) => {
    const to = place(press);
    if (!press.alt) return boxOf(from, to);
    const r = radius(to);
    return boxOf(
      { x: from.x - r / width, y: from.y - r / height },
      { x: from.x + r / width, y: from.y + r / height },
    );
  };
  return {
    move: (press) => store.set({ marquee: boxTo(press) }),
    up(press) {
      store.set({ marquee: null });
      if (far(press, start) < CLICK) {
        const r = CLICKED * Math.min(width, height);
        spreadIn(store, thing(from) ?? cellsOf({ width, height }, (at) => radius(at) < r));
        return;
      }
      const box = boxTo(press);
      const r = radius(place(press));
      spreadIn(
        store,
        cellsOf({ width, height }, (at) => (press.alt ? radius(at) < r : contains(box, at))),
      );
    },
    cancel: () => store.set({ marquee: null }),
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
