/**
 * Spline Path Control's scenes: JSON, as it stands behind the pictures that its web page saves. A spline
 * is cubic Bezier curves whose handles are `tension` / 6 of the way from the point before to the point
 * after, so that tension 0 is straight. `easingCurve` and `scaleCurve` are curves of straight pieces over
 * the time of a spline or shape: how far it has come, and half the octaves of its size.
 *
 * @typedef {import("./runs.mjs").Canvas} Canvas
 * @typedef {import("./runs.mjs").Foreign} Foreign
 */
import { LIMITS, parse } from "../model/document.mjs";
import {
  DocumentError,
  finite,
  integer,
  isObject,
  keys,
  list,
  number,
  refuse,
} from "../model/fields.mjs";
import { roundedLength } from "../model/frames.mjs";
import { paced, stopsOf, tangents } from "./pacing.mjs";

/** Stands between the picture and the scene. */
const MARKER = "SPLINEDATA::";
const FRAMES = 80;
/** @type {import("./pacing.mjs").Curve} */
const EVEN = [
  [0, 0],
  [1, 1],
];
/** @type {import("./pacing.mjs").Curve} */
const SAME = [
  [0, 0],
  [1, 0],
];
/** Sizes of a document lie between 2 to the power of minus and plus half of it. */
const HALF_OCTAVES = 13;

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export function isScene(value) {
  return isObject(value) && ("splines" in value || "staticShapes" in value);
}

/** The scene behind a picture, if there is one. @param {ArrayBuffer} buffer @returns {string | null} */
export function sceneBehind(buffer) {
  const start = Math.max(0, buffer.byteLength - LIMITS.text);
  const text = new TextDecoder("utf-8").decode(new Uint8Array(buffer, start));
  const at = text.lastIndexOf(MARKER);
  return at < 0 ? null : text.slice(at + MARKER.length);
}

/**
 * Splines and static shapes as tracks, with their frames; what stays at its end waits there. Sizes are
 * those of the curve; how large a shape is drawn at size 1 is not read.
 * @param {Record<string, unknown>} value
 * @param {Canvas} canvas
 * @returns {Foreign}
 */
export function fromScene(value, canvas) {
  const own = isObject(value.originalImageDimensions) ? value.originalImageDimensions : canvas;
  const width = side(own.width ?? canvas.width, "width");
  const height = side(own.height ?? canvas.height, "height");
  /** @type {Record<string, unknown>[]} */
  const tracks = [];
  let last = 0;
  for (const kind of ["splines", "staticShapes"]) {
    list(value[kind] ?? [], kind, 0, LIMITS.tracks).forEach((item, i) => {
      const path = `${kind}[${i}]`;
      const fields = isObject(item) ? item : keys(item, path, [], []);
      const places = "pos" in fields ? [fields.pos] : (fields.points ?? []);
      const given = list(places, `${path}.points`, 1, LIMITS.points).map((p, n) =>
        point(p, `${path}.points[${n}]`),
      );
      const start = integer(fields.startFrame ?? 0, `${path}.startFrame`, 0, LIMITS.frames);
      const frames = integer(fields.totalFrames ?? FRAMES, `${path}.totalFrames`, 0, LIMITS.frames);
      const end = start + Math.max(0, frames - 1);
      const tension = number(fields.tension ?? 0, `${path}.tension`, -10, 10);
      const smooth = tension !== 0 && given.length > 2;
      const leave = smooth ? tangents(given, tension / 6) : null;
      const far = HALF_OCTAVES;
      const stops = stopsOf(
        curveOf(fields.easingCurve, `${path}.easingCurve`, 0, 1) ?? EVEN,
        curveOf(fields.scaleCurve, `${path}.scaleCurve`, -far, far) ?? SAME,
      );
      const points = paced({ points: given, leave }, { start, end }, stops, { width, height });
      const curve = smooth ? "spline" : "linear";
      last = Math.max(last, end);
      const after = fields.hideOnComplete === false ? { after: "wait" } : {};
      tracks.push({ id: `t${tracks.length + 1}`, curve, points, start, end, ...after });
    });
  }
  if (last >= LIMITS.frames) {
    const expected = `expected at most ${LIMITS.frames}`;
    throw new DocumentError(`the scene has ${last + 1} frames, ${expected}`);
  }
  const frames = roundedLength(last + 1);
  const { width: wide, height: high } = canvas;
  const doc = parse({ version: 2, width: wide, height: high, frames, tracks });
  return { doc, own: true, lost: 0 };
}

/** @param {unknown} value @param {string} name */
function side(value, name) {
  if (typeof value === "number" && value > 0 && Number.isFinite(value)) return value;
  throw refuse(`originalImageDimensions.${name}`, value, "a size");
}

/** @param {unknown} value @param {string} path */
function point(value, path) {
  const { x, y } = isObject(value) ? value : keys(value, path, ["x", "y"], []);
  return { x: finite(x, path), y: finite(y, path) };
}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {number} low
 * @param {number} high
 * @returns {import("./pacing.mjs").Curve | null}
 */
function curveOf(value, path, low, high) {
  const points = list(value ?? [], path, 0, LIMITS.points).map((item, i) => {
    const here = `${path}[${i}]`;
    const { x, y } = isObject(item) ? item : keys(item, here, ["x", "y"], []);
    return /** @type {import("../model/types.mjs").Pair} */ ([
      finite(x, `${here}.x`),
      number(y, `${here}.y`, low, high),
    ]);
  });
  return points.length > 1 ? points.sort(([a], [b]) => a - b) : null;
}
