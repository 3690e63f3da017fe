/**
 * Spline Path Control's scenes: JSON, as it stands behind the pictures that its web page saves.
 *
 * @typedef {import("./runs.mjs").Canvas} Canvas
 * @typedef {import("./runs.mjs").Foreign} Foreign
 */
import { LIMITS, parse } from "../model/document.mjs";
import { DocumentError, integer, isObject, keys, list, refuse } from "../model/fields.mjs";
import { roundedLength } from "../model/frames.mjs";

/** Stands between the picture and the scene. */
const MARKER = "SPLINEDATA::";
const FRAMES = 80;

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
 * Splines and static shapes as tracks, with their frames; what stays at its end waits there. Easing
 * and size curves are not read.
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
      const points = list(places, `${path}.points`, 1, LIMITS.points).map((p, n) =>
        point(p, `${path}.points[${n}]`, width, height),
      );
      const start = integer(fields.startFrame ?? 0, `${path}.startFrame`, 0, LIMITS.frames);
      const frames = integer(fields.totalFrames ?? FRAMES, `${path}.totalFrames`, 0, LIMITS.frames);
      const end = start + Math.max(0, frames - 1);
      last = Math.max(last, end);
      const after = fields.hideOnComplete === false ? { after: "wait" } : {};
      tracks.push({ id: `t${tracks.length + 1}`, points, start, end, ...after });
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

/** @param {unknown} value @param {string} path @param {number} width @param {number} height */
function point(value, path, width, height) {
  const { x, y } = isObject(value) ? value : keys(value, path, ["x", "y"], []);
  for (const part of [x, y]) {
    if (typeof part !== "number" || !Number.isFinite(part)) {
      throw refuse(path, part, "a finite number");
    }
  }
  return { x: Number(x) / width, y: Number(y) / height };
}
