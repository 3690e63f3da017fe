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
import { LIMITS } from "./document.mjs";
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

/**
 * The corners of what the camera sees, in px of what was drawn.
 * @param {CameraKey} key
 * @param {{width: number, height: number}} size
 * @returns {Vec[]}
 */
export function sight({ x, y, zoom, roll }, { width, height }) {
  const angle = (roll * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle) / zoom, Math.sin(angle) / zoom];
  const corners = [
    [-0.5, -0.5],
    [0.5, -0.5],
    [0.5, 0.5],
    [-0.5, 0.5],
  ];
  return corners.map(([u, v]) => ({
    x: (0.5 + x) * width + cos * u * width - sin * v * height,
    y: (0.5 + y) * height + sin * u * width + cos * v * height,
  }));
}

const STILL = Object.freeze({ x: 0, y: 0, zoom: 1, roll: 0 });

/** Ready-made moves: where the camera begins and where it ends. @type {Readonly<Record<string, [Partial<CameraKey>, Partial<CameraKey>]>>} */
export const MOVES = Object.freeze({
  panLeft: [{}, { x: -0.25 }],
  panRight: [{}, { x: 0.25 }],
  panUp: [{}, { y: -0.25 }],
  panDown: [{}, { y: 0.25 }],
  zoomIn: [{}, { zoom: 1.5 }],
  zoomOut: [{}, { zoom: 0.67 }],
  roll: [{}, { roll: 15 }],
});

/**
 * A ready-made move over the whole clip, on top of none.
 * @param {Doc} doc
 * @param {string} name
 * @returns {Doc}
 */
export function moveCamera(doc, name) {
  const [from, to] = MOVES[name];
  const last = doc.frames - 1;
  const keys = [{ ...STILL, ...from, frame: 0 }];
  if (last > 0) keys.push({ ...STILL, ...to, frame: last });
  return { ...doc, camera: { keys, easing: doc.camera?.easing ?? "in-out" } };
}

/**
 * Set where the camera is at a frame, as a key.
 * @param {Doc} doc
 * @param {number} frame
 * @param {Partial<CameraKey>} patch
 * @returns {Doc}
 */
export function setCamera(doc, frame, patch) {
  const { keys = [], easing = "linear" } = doc.camera ?? {};
  const now = doc.camera ? cameraAt(doc.camera, frame) : { ...STILL, frame };
  const others = keys.filter((key) => key.frame !== frame);
  if (others.length >= LIMITS.cameraKeys) return doc;
  const key = bounded({ ...now, ...patch, frame });
  const next = [...others, key].sort((a, b) => a.frame - b.frame);
  return { ...doc, camera: { keys: next, easing } };
}

/** @param {CameraKey} key */
function bounded({ frame, x, y, zoom, roll }) {
  const within = (/** @type {number} */ v, /** @type {number} */ low, /** @type {number} */ high) =>
    Math.round(Math.min(high, Math.max(low, v)) * 1e6) / 1e6;
  const far = LIMITS.fraction;
  return {
    frame,
    x: within(x, -far, far),
    y: within(y, -far, far),
    zoom: within(zoom, LIMITS.minZoom, LIMITS.maxZoom),
    roll: within(roll, -LIMITS.roll, LIMITS.roll),
  };
}

/** Without its key at a frame; without its last, there is no camera. @param {Doc} doc @param {number} frame @returns {Doc} */
export function removeCameraKey(doc, frame) {
  const keys = doc.camera?.keys.filter((key) => key.frame !== frame) ?? [];
  return keys.length && doc.camera
    ? { ...doc, camera: { ...doc.camera, keys } }
    : withoutCamera(doc);
}

/** @param {Doc} doc @returns {Doc} */
export function withoutCamera({ camera, ...doc }) {
  return doc;
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
