/**
 * The pointer on the timeline: scrub, shift a bar, drag its ends and its keys.
 *
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("./timelinehit.mjs").Strip} Strip
 * @typedef {import("./gestures.mjs").Gesture} Gesture
 * @typedef {import("./gestures.mjs").Press} Press
 */
import { isEditable } from "../model/layers.mjs";
import { frameAtLength, positionAt, sampleTrack, visibleAt } from "../model/sampling.mjs";
import { allPoints, toggle } from "../model/selection.mjs";
import { setKey, slid, withHidden, withRange } from "../model/timing.mjs";
import { insertPoint, mapTracks } from "../model/tracks.mjs";
import { chosen, goTo } from "./edits.mjs";
import { widening } from "./hit.mjs";
import { PressController } from "./pressing.mjs";
import { timelineHit, xToFrame } from "./timelinehit.mjs";

export class TimelineController extends PressController {
  /**
   * @param {Store} store
   * @param {() => Strip} strip
   * @param {() => number} [now] milliseconds
   */
  constructor(store, strip, now) {
    super(now);
    this.store = store;
    this.strip = strip;
  }

  /** @param {Press} press @param {boolean} double @returns {Gesture | null} */
  begin(press, double) {
    if (press.button !== 0) return null;
    const { store } = this;
    const strip = this.strip();
    const hit = timelineHit(store.state, strip, press.css, widening(press));
    if (!hit) return null;
    if (!hit.track) return this.scrub(press);
    const { track } = hit;
    const points = hit.part === "key" ? new Set([hit.index]) : allPoints(track);
    if (press.shift) store.set({ selection: toggle(store.state.selection, track.id, points) });
    else if (hit.part === "key" || !store.state.selection.has(track.id)) {
      store.set({ selection: new Map([[track.id, points]]) });
    }
    store.set({ entity: track.entity, hover: null });
    if (hit.part === "label" || !isEditable(store.state, track)) return null;
    const pressed = xToFrame(store.state, strip, press.css.x);
    if (hit.part === "bar" && double) return this.addKey(track, Math.round(pressed));
    const from = store.state.doc;
    if (hit.part === "key") {
      return this.drag(pressed, (f) => setKey(from, track.id, hit.index, f));
    }
    if (hit.part === "start") {
      const change = (/** @type {number} */ f) =>
        mapTracks(from, [track.id], (t) => withRange(t, f, t.end));
      return this.drag(pressed, change);
    }
    if (hit.part === "end") {
      const last = from.frames - 1;
      const change = (/** @type {number} */ f) =>
        mapTracks(from, [track.id], (t) => withRange(t, t.start, Math.min(last, f)));
      return this.drag(pressed, change);
    }
    const ids = chosen(store);
    if (press.alt) {
      const at = Math.round(pressed);
      const gone = visibleAt(track, at);
      const last = from.frames - 1;
      const bounded = (/** @type {number} */ f) => Math.min(last, Math.max(0, f));
      return this.drag(pressed, (f) =>
        mapTracks(from, [track.id], (t) => withHidden(t, at, bounded(f), gone)),
      );
    }
    return this.drag(pressed, (f) =>
      mapTracks(from, ids, (t) => slid(t, f - pressed, from.frames)),
    );
  }

  /** @param {Press} press @returns {Gesture} */
  scrub(press) {
    const { store } = this;
    const go = (/** @type {Press} */ p) =>
      goTo(store, xToFrame(store.state, this.strip(), p.css.x));
    store.set({ playing: false });
    go(press);
    return { move: go, up() {}, cancel() {} };
  }

  /**
   * @param {number} pressed frame
   * @param {(frame: number) => Doc} change
   * @returns {Gesture}
   */
  drag(pressed, change) {
    const { store } = this;
    let moved = false;
    return {
      move: (press) => {
        const frame = xToFrame(store.state, this.strip(), press.css.x);
        if (!moved && Math.abs(frame - pressed) < 0.3) return;
        moved = true;
        store.preview(change(frame));
      },
      up: () => store.edit(),
      cancel: () => store.revert(),
    };
  }

  /** Put a point, tied to this frame, where the track is then. @param {Track} track @param {number} frame */
  addKey(track, frame) {
    const { store } = this;
    const { doc } = store.state;
    if (track.points.length < 2 || frame <= track.start || frame >= track.end) return null;
    const { path } = sampleTrack(track, doc);
    const index = track.points.findIndex(
      (_, i) => i > 0 && frameAtLength(track, doc, path.length[path.knots[i]]) >= frame,
    );
    if (index < 1 || track.points[index].frame === frame) return null;
    const at = positionAt(track, doc, frame);
    const point = { x: at.x / doc.width, y: at.y / doc.height, frame };
    store.edit(insertPoint(doc, track.id, index, point), {
      selection: new Map([[track.id, new Set([index])]]),
    });
    return null;
  }
}
