/**
 * A camera over all tracks. `tora2.trajectory.camera` says the same: a point d away from the middle of
 * what the camera sees is seen zoom * R(-roll) d away from the middle of the frame.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Camera} Camera
 * @typedef {import("./types.mjs").CameraKey} CameraKey
 * @typedef {import("./types.mjs").Vec} Vec
 */
import { ease } from "./easing.mjs";
import { sampleTrack } from "./sampling.mjs";

/**
 * The camera at a frame: even from key to key, the zoom by even factors.
 * @param {Camera} camera
 * @param {number} frame
 * @returns {CameraKey}
 */
export function cameraAt({ keys, easing }, frame) {
  const next = keys.findIndex((key) => key.frame > frame);
  if (next === 0) return { ...keys[0], frame };
  const a = keys[next < 0 ? keys.length - 1 : next - 1];
  if (next < 0) return { ...a, frame };
  const b = keys[next];
  const u = ease(easing, (frame - a.frame) / (b.frame - a.frame));
  const mixed = (/** @type {number} */ from, /** @type {number} */ to) => from + u * (to - from);
  return {
    frame,
    x: mixed(a.x, b.x),
    y: mixed(a.y, b.y),
    zoom: Math.exp(mixed(Math.log(a.zoom), Math.log(b.zoom))),
    roll: mixed(a.roll, b.roll),
  };
}

/**
 * Where a place that was drawn in front of a resting camera is seen.
 * @param {CameraKey} key
 * @param {{width: number, height: number}} size
 * @param {Vec} px
 * @returns {Vec} px
 */
export function seen({ x, y, zoom, roll }, { width, height }, px) {
  const dx = px.x - width / 2 - x * width;
  const dy = px.y - height / 2 - y * height;
  const angle = (roll * Math.PI) / 180;
  const cos = zoom * Math.cos(angle);
  const sin = zoom * Math.sin(angle);
  return { x: cos * dx + sin * dy + width / 2, y: cos * dy - sin * dx + height / 2 };
}

/** @type {WeakMap<Track, {doc: Doc, filmed: Filmed}>} */
const cache = new WeakMap();

/**
 * What a track comes to: its place and size at every frame, with the camera.
 * @typedef {{x: Float64Array, y: Float64Array, scale: Float64Array}} Filmed
 * @param {Track} track
 * @param {Doc} doc
 * @returns {Filmed}
 */
export function filmed(track, doc) {
  const { camera } = doc;
  const sampled = sampleTrack(track, doc);
  if (!camera) return sampled;
  const known = cache.get(track);
  if (known && known.doc.camera === camera && sameSize(known.doc, doc)) return known.filmed;
  const result = {
    x: new Float64Array(doc.frames),
    y: new Float64Array(doc.frames),
    scale: new Float64Array(doc.frames),
  };
  for (let f = 0; f < doc.frames; f++) {
    const key = cameraAt(camera, f);
    const at = seen(key, doc, { x: sampled.x[f], y: sampled.y[f] });
    result.x[f] = at.x;
    result.y[f] = at.y;
    result.scale[f] = sampled.scale[f] * key.zoom;
  }
  cache.set(track, { doc, filmed: result });
  return result;
}

/** @param {Doc} a @param {Doc} b */
function sameSize(a, b) {
  return a.width === b.width && a.height === b.height && a.frames === b.frames;
}
