/**
 * The pointer on the stage: decides what a press on the stage begins, and what a hover tells.
 *
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/types.mjs").Viewport} Viewport
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("./gestures.mjs").Press} Press
 * @typedef {import("./gestures.mjs").Gesture} Gesture
 */
import { pointAt } from "../model/geometry.mjs";
import { isVisible } from "../model/layers.mjs";
import { frameAtLength, sampleTrack } from "../model/sampling.mjs";
import { allPoints, toggle } from "../model/selection.mjs";
import { addTrack, insertPoint, trackById } from "../model/tracks.mjs";
import { toPx, zoomed } from "../model/viewport.mjs";
import { thingAt } from "./edits.mjs";
import {
  dragHandle,
  dragPoints,
  dragSize,
  freehand,
  marquee,
  pan,
  spreadOut,
  transform,
} from "./gestures.mjs";
import { pointGripUnder } from "./grips.mjs";
import { gripUnder, hitTest, reachOf, selectionBox } from "./hit.mjs";
import { PressController } from "./pressing.mjs";
import { snapped } from "./snapping.mjs";

export class StageController extends PressController {
  /**
   * @param {Store} store
   * @param {() => Viewport} view
   * @param {() => number} [now] milliseconds
   */
  constructor(store, view, now) {
    super(now);
    this.store = store;
    this.view = view;
    /** What the masks cover, where there are masks. @type {() => import("../model/spreading.mjs").Cells | null} */
    this.masks = () => null;
  }

  leave() {
    if (this.store.state.hover || this.store.state.cursor) {
      this.store.set({ hover: null, cursor: null });
    }
  }

  /**
   * @param {Vec} css
   * @param {number} factor
   */
  zoom(css, factor) {
    this.store.set({ viewport: zoomed(this.view(), css, factor) });
  }

  /**
   * @param {Press} press
   * @param {boolean} double
   * @returns {Gesture | null}
   */
  begin(press, double) {
    const { store } = this;
    const view = this.view();
    store.set({ hover: null });
    const { tool, readOnly } = store.state;
    if (press.button === 1 || tool === "hand") return pan(store, view, press);
    if (press.button !== 0) return null;
    if (readOnly) return marquee(store, view, press);
    if (tool === "freehand") return freehand(store, view, press);
    if (tool === "points") return this.placePoint(press, view, double);
    if (tool === "anchor") return this.placeAnchor(press, view);
    if (tool === "spread") {
      return spreadOut(store, view, press, (place) => thingAt(this.masks(), place));
    }
    return this.pick(press, view, double);
  }

  /**
   * @param {Press} press
   * @param {Viewport} view
   * @param {boolean} double
   */
  pick(press, view, double) {
    const { store } = this;
    const reach = reachOf(press);
    const own = pointGripUnder(store.state, view, press.css, reach);
    if (own?.kind === "size") return dragSize(store, own);
    if (own) {
      return dragHandle(store, view, /** @type {Parameters<typeof dragHandle>[2]} */ (own));
    }
    const grip = gripUnder(selectionBox(store.state, view), press.css, reach);
    if (grip) return transform(store, view, press, grip);
    const hit = hitTest(store.state, view, press.css, reach);
    if (!hit) return marquee(store, view, press);
    const { track } = hit;
    const { width, height } = store.state.doc;
    if (hit.kind === "path" && (double || press.alt)) {
      return this.insert(track.id, hit.segment + 1, press, view, hit.length);
    }
    const points = hit.kind === "point" ? new Set([hit.index]) : allPoints(track);
    const before = store.state.selection;
    const held = [...points].every((i) => before.get(track.id)?.has(i));
    const only = new Map([[track.id, points]]);
    if (!held) store.set({ selection: press.shift ? toggle(before, track.id, points) : only });
    store.set({ entity: track.entity });
    const anchor =
      hit.kind === "point"
        ? { x: track.points[hit.index].x * width, y: track.points[hit.index].y * height }
        : { x: track.points[0].x * width, y: track.points[0].y * height };
    return dragPoints(store, view, press, anchor, () => {
      if (held) store.set({ selection: press.shift ? toggle(before, track.id, points) : only });
    });
  }

  /**
   * Select what lies at a place, unless it is selected: for the menu of it.
   * @param {Pick<Press, "css" | "pointer" | "zoom">} press
   * @returns {boolean} whether there is anything
   */
  choose(press) {
    const { store } = this;
    const hit = hitTest(store.state, this.view(), press.css, reachOf(press));
    if (!hit) return false;
    const { track } = hit;
    const points = hit.kind === "point" ? new Set([hit.index]) : allPoints(track);
    if (![...points].every((i) => store.state.selection.get(track.id)?.has(i))) {
      store.set({ selection: new Map([[track.id, points]]), entity: track.entity });
    }
    store.set({ tool: "select", hover: null, drawing: null, cursor: null });
    return true;
  }

  /**
   * Add a point to a path where it was clicked, and drag it on.
   * @param {string} id
   * @param {number} index
   * @param {Press} press
   * @param {Viewport} view
   * @param {number} length
   */
  insert(id, index, press, view, length) {
    const { store } = this;
    const { doc } = store.state;
    const track = trackById(doc, id);
    if (!track) return null;
    const at = pointAt(sampleTrack(track, doc).path, length);
    const next = insertPoint(doc, id, index, { x: at.x / doc.width, y: at.y / doc.height });
    store.preview(next, { selection: new Map([[id, new Set([index])]]) });
    return dragPoints(store, view, press, at);
  }

  /**
   * The points tool: begin a track, extend it, insert into it, or finish it on a double click.
   * @param {Press} press
   * @param {Viewport} view
   * @param {boolean} double
   */
  placePoint(press, view, double) {
    const { store } = this;
    if (double && store.state.drawing) {
      store.set({ drawing: null, cursor: null });
      return null;
    }
    const { drawing } = store.state;
    const hit = hitTest(store.state, view, press.css, reachOf(press));
    if (!drawing && hit && store.state.selection.has(hit.track.id)) {
      if (hit.kind === "path") {
        return this.insert(hit.track.id, hit.segment + 1, press, view, hit.length);
      }
      if (hit.index === hit.track.points.length - 1) store.set({ drawing: hit.track.id });
      return this.pick(press, view, false);
    }
    const { doc, entity, curve } = store.state;
    const { at } = snapped(store.state, toPx(view, press.css), view.scale);
    const point = { x: at.x / doc.width, y: at.y / doc.height };
    const track = drawing ? trackById(doc, drawing) : undefined;
    if (track) {
      const index = track.points.length;
      const selection = new Map([[track.id, new Set([index])]]);
      store.preview(insertPoint(doc, track.id, index, point), { selection });
    } else {
      const added = addTrack(doc, { points: [point], entity, curve });
      if (!added) return null;
      const selection = new Map([[added.id, new Set([0])]]);
      store.preview(added.doc, { drawing: added.id, selection });
    }
    return dragPoints(store, view, press, at);
  }

  /**
   * @param {Press} press
   * @param {Viewport} view
   */
  placeAnchor(press, view) {
    const { store } = this;
    const { doc, entity } = store.state;
    const { at } = snapped(store.state, toPx(view, press.css), view.scale);
    const added = addTrack(doc, {
      points: [{ x: at.x / doc.width, y: at.y / doc.height }],
      entity,
    });
    if (!added) return null;
    store.preview(added.doc, { selection: new Map([[added.id, new Set([0])]]) });
    return dragPoints(store, view, press, at);
  }

  /** @param {Press} press */
  hover(press) {
    const { store } = this;
    const view = this.view();
    const { state } = store;
    const px = toPx(view, press.css);
    const drawing = state.tool === "points" && state.drawing !== null;
    const hit = hitTest(state, view, press.css, reachOf(press), isVisible);
    let hover = null;
    if (hit && !drawing) {
      const { track } = hit;
      const { path } = sampleTrack(track, state.doc);
      const index = hit.kind === "point" ? hit.index : null;
      const length = hit.kind === "point" ? path.length[path.knots[hit.index]] : hit.length;
      hover = {
        track: track.id,
        point: index,
        at: pointAt(path, length),
        frame: index === 0 ? track.start : frameAtLength(track, state.doc, length),
      };
    }
    if (!hover && !state.hover && !drawing) return;
    store.set({ hover, cursor: drawing ? snapped(state, px, view.scale).at : null });
  }

  /** The mouse cursor for a place. @param {Press} press */
  cursorAt(press) {
    const { state } = this.store;
    if (state.tool === "hand") return "grab";
    if (state.readOnly) return "default";
    const view = this.view();
    if (state.tool === "select") {
      const own = pointGripUnder(state, view, press.css, reachOf(press));
      if (own) return own.kind === "size" ? "nwse-resize" : "crosshair";
      const grip = gripUnder(selectionBox(state, view), press.css, reachOf(press));
      if (grip === "rotate") return "grab";
      if (grip) return grip === "nw" || grip === "se" ? "nwse-resize" : "nesw-resize";
      return hitTest(state, view, press.css, reachOf(press)) ? "move" : "default";
    }
    return "crosshair";
  }
}
