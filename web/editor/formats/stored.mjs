/**
 * What LTX's track editor keeps in its node: control points, as text beside the sampled ones. The same
 * as `tora2.trajectory.formats.stored`.
 *
 * @typedef {import("./runs.mjs").Canvas} Canvas
 * @typedef {import("./runs.mjs").Foreign} Foreign
 */
import { LIMITS, parse } from "../model/document.mjs";
import { finite, integer, isObject, keys, list } from "../model/fields.mjs";
import { roundedLength } from "../model/frames.mjs";
import { paced, tangents } from "./pacing.mjs";
import { fromPoints, parseJson } from "./points.mjs";

const FRAMES = 121;
const STORE = "points_store";

/** Whether it is such a node's widgets, or the node as it stands in an API workflow. @param {unknown} value @returns {value is Record<string, unknown>} */
export function isStore(value) {
  return isObject(value) && STORE in widgetsOf(value);
}

/**
 * Splines through the control points, which it passes at even times.
 * @param {Record<string, unknown>} value `points_store` and, where there are any, `coordinates` and
 *   `points_to_sample`
 * @param {Canvas} canvas of the picture that was drawn on
 * @returns {Foreign}
 */
export function fromStore(value, canvas) {
  const { points_to_sample: count, [STORE]: store, coordinates } = widgetsOf(value);
  const frames = integer(count ?? FRAMES, "points_to_sample", 2, LIMITS.frames);
  const splines = listIn(store);
  if (!Array.isArray(splines[0])) return fromPoints(listIn(coordinates ?? splines), canvas);
  const end = frames - 1;
  const tracks = splines.map((item, i) => {
    const path = `${STORE}[${i}]`;
    const given = list(item, path, 1, LIMITS.points).map((p, n) => point(p, `${path}[${n}]`));
    const leave = given.length > 2 ? tangents(given, 1 / 6) : null;
    const whole = [0, 1].map((part) => ({ time: part, place: part }));
    const points = paced({ points: given, leave }, { start: 0, end }, whole, canvas);
    let known = 0;
    if (points.length === given.length) {
      points.slice(1, -1).forEach((inner, n) => {
        const frame = Math.floor(((n + 1) / (points.length - 1)) * end + 0.5);
        if (frame > known && frame < end) inner.frame = known = frame;
      });
    }
    return { id: `t${i + 1}`, curve: leave ? "spline" : "linear", points, end };
  });
  const { width, height } = canvas;
  const doc = parse({ version: 2, width, height, frames: roundedLength(frames), tracks });
  return { doc, own: true, lost: 0 };
}

/** @param {Record<string, unknown>} value */
function widgetsOf(value) {
  return isObject(value.inputs) ? value.inputs : value;
}

/** @param {unknown} value */
function listIn(value) {
  return list(typeof value === "string" ? parseJson(value) : value, STORE, 0, LIMITS.tracks);
}

/** @param {unknown} value @param {string} path */
function point(value, path) {
  const { x, y } = isObject(value) ? value : keys(value, path, ["x", "y"], []);
  return { x: finite(x, `${path}.x`), y: finite(y, `${path}.y`) };
}
