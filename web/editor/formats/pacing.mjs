/**
 * Editable paths from other tools' curves: their handles, and their pace and size over time. The same
 * as `tora2.trajectory.formats.pacing`.
 *
 * @typedef {import("../model/types.mjs").Pair} Pair
 * @typedef {import("../model/types.mjs").Point} Point
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("../model/geometry.mjs").Path} Path
 * @typedef {Pair[]} Curve values over time, [time, value], straight between; times go up
 * @typedef {{time: number, place: number, size?: number}} Stop where a track is at a time of its own:
 *   fractions of its time and of its path's length
 * @typedef {{index: number, u: number}} Spot a segment, and how far in it, of its parameter
 * @typedef {{points: Vec[], leave: Vec[] | null}} Way control points, and for a smooth path its Bezier
 *   handles, mirrored on the side of arrival; px
 */
import { LIMITS } from "../model/document.mjs";
import { flatten } from "../model/geometry.mjs";

/** Between two points a size changes evenly; one that doubles and halves needs points this often. */
const OCTAVES = 1;
const NOTHING = 1e-9;

/**
 * Where the Bezier handles of a uniform spline lie, on the side a point is left to; it ends in the first
 * and the last point without any beyond.
 * @param {Vec[]} points
 * @param {number} part of the way from the point before to the point after; 1/6 is Catmull and Rom's
 * @returns {Vec[]}
 */
export function tangents(points, part) {
  return points.map((point, i) => {
    const before = points[i - 1] ?? point;
    const after = points[i + 1] ?? point;
    return { x: part * (after.x - before.x), y: part * (after.y - before.y) };
  });
}

/**
 * The value of a curve; before its first and after its last time those two go on.
 * @param {Curve} curve
 * @param {number} time
 */
function valueAt(curve, time) {
  const i = curve.findIndex(
    ([from], n) => n + 1 < curve.length && from <= time && time <= curve[n + 1][0],
  );
  const [[x0, y0], [x1, y1]] =
    i < 0 ? [curve[0], curve[curve.length - 1]] : [curve[i], curve[i + 1]];
  return x1 === x0 ? y0 : y0 + ((time - x0) / (x1 - x0)) * (y1 - y0);
}

/**
 * What two curves say, at the times at which they bend; sizes stand in the stops where they change.
 * @param {Curve} easing how far the track has come on its path, 0 to 1, over its time
 * @param {Curve} sizes half the octaves of its size over its time: 2 is twice as large, -2 half
 * @returns {Stop[]}
 */
export function stopsOf(easing, sizes) {
  const inner = [...easing, ...sizes].map(([time]) => time).filter((time) => time > 0 && time < 1);
  const times = [...new Set([0, 1, ...inner])].sort((a, b) => a - b);
  const grows = new Set(sizes.map(([, value]) => value)).size > 1;
  const dense = [...times];
  for (let i = 0; i + 1 < times.length; i++) {
    const [a, b] = [times[i], times[i + 1]];
    const count = Math.ceil(Math.abs(valueAt(sizes, b) - valueAt(sizes, a)) / OCTAVES);
    for (let step = 1; step < count; step++) dense.push(a + ((b - a) * step) / count);
  }
  dense.sort((a, b) => a - b);
  return dense.map((time) => ({
    time,
    place: Math.min(1, Math.max(0, valueAt(easing, time))),
    ...(grows && { size: 2 ** (valueAt(sizes, time) / 2) }),
  }));
}

/**
 * The points of a track that is at each stop's place at its time, evenly between. The path is cut where
 * a stop lies on it, which leaves its shape as it is; where a stop lies before the last one, the track
 * goes back on it.
 * @param {Way} way
 * @param {{start: number, end: number}} range
 * @param {Stop[]} stops at least those of the times 0 and 1
 * @param {{width: number, height: number}} size of the canvas of the points
 * @returns {Point[]} as in a document
 */
export function paced(way, { start, end }, stops, { width, height }) {
  const { points, leave } = way;
  const bends = points.map((point, i) => {
    if (!leave) return point;
    const { x, y } = leave[i];
    return {
      ...point,
      arrive: /** @type {Pair} */ ([-x, -y]),
      leave: /** @type {Pair} */ ([x, y]),
    };
  });
  const path = flatten(bends, leave ? "spline" : "linear");
  const whole = path.length[path.length.length - 1];
  const spotOf = (/** @type {Stop} */ { place }) => spotAt(path, place * whole);
  const placed = (/** @type {Vec} */ { x, y }) => ({ x: x / width, y: y / height });
  const apart = (/** @type {Vec} */ to, /** @type {Vec} */ from) =>
    /** @type {Pair} */ ([(to.x - from.x) / width, (to.y - from.y) / height]);
  const first = spotOf(stops[0]);
  const { index, u } = first;
  /** @type {Point[]} */
  const result = [placed(blossom(segmentOf(way, index), u, u, u))];
  if (stops[0].size !== undefined) result[0].scale = stops[0].size;
  if (points.length === 1 && stops[0].size === undefined) return result;
  let [known, last] = [start, first];
  for (let n = 1; n < stops.length && result.length <= LIMITS.points; n++) {
    const { time, size } = stops[n];
    const final = n === stops.length - 1;
    const frame = start + Math.floor(time * (end - start) + 0.5);
    if (frame <= known || (frame >= end && !final)) continue;
    const spot = spotOf(stops[n]);
    for (const piece of piecesOf(last, spot)) {
      const segment = segmentOf(way, piece.index);
      const [a, b] = [piece.from, piece.to];
      const there = blossom(segment, b, b, b);
      result.push(placed(there));
      if (!leave) continue;
      result[result.length - 2].leave = apart(blossom(segment, a, a, b), blossom(segment, a, a, a));
      result[result.length - 1].arrive = apart(blossom(segment, a, b, b), there);
    }
    const point = result[result.length - 1];
    if (!final) point.frame = frame;
    if (size !== undefined) point.scale = size;
    [known, last] = [frame, spot];
  }
  return result;
}

/** @param {Path} path @param {number} length @returns {Spot} */
function spotAt({ length: lengths, knots }, length) {
  const last = Math.max(0, knots.length - 2);
  let index = 0;
  while (index < last && lengths[knots[index + 1]] <= length) index++;
  const [from, to] = [knots[index], knots[Math.min(index + 1, knots.length - 1)]];
  if (lengths[to] - lengths[from] < NOTHING) return { index, u: 0 };
  const inside = [...new Set(lengths.slice(from, to + 1))];
  let i = 0;
  while (i + 2 < inside.length && inside[i + 1] <= length) i++;
  const part = Math.min(1, Math.max(0, (length - inside[i]) / (inside[i + 1] - inside[i])));
  return { index, u: (i + part) / (inside.length - 1) };
}

/** The Bezier points of a segment. @param {Way} way @param {number} index @returns {Vec[]} */
function segmentOf({ points, leave }, index) {
  const next = Math.min(index + 1, points.length - 1);
  const [a, b] = [points[index], points[next]];
  const third = { x: (b.x - a.x) / 3, y: (b.y - a.y) / 3 };
  const [out, back] = leave ? [leave[index], leave[next]] : [third, third];
  return [a, { x: a.x + out.x, y: a.y + out.y }, { x: b.x - back.x, y: b.y - back.y }, b];
}

/**
 * The polar form of a Bezier curve, whose values are the Bezier points of its parts.
 * @param {Vec[]} segment
 * @param {number[]} parts three
 * @returns {Vec}
 */
function blossom(segment, ...parts) {
  for (const part of parts) {
    segment = segment.slice(1).map((b, i) => ({
      x: (1 - part) * segment[i].x + part * b.x,
      y: (1 - part) * segment[i].y + part * b.y,
    }));
  }
  return segment[0];
}

/** The parts of segments on the way from one spot to another. @param {Spot} a @param {Spot} b */
function piecesOf(a, b) {
  const step = b.index > a.index || (b.index === a.index && b.u >= a.u) ? 1 : -1;
  const [near, far] = step > 0 ? [0, 1] : [1, 0];
  const pieces = [];
  for (let index = a.index; index !== b.index + step; index += step) {
    const from = index === a.index ? a.u : near;
    const to = index === b.index ? b.u : far;
    if (Math.abs(to - from) > NOTHING) pieces.push({ index, from, to });
  }
  return pieces.length ? pieces : [{ index: b.index, from: b.u, to: b.u }];
}
