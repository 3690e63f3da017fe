/**
 * Curves in the plane, without time: flattening, arc length, nearest point, simplification.
 * The same numbers as `tora2.trajectory`; tests/fixtures/trajectory_cases.json holds both to it.
 *
 * @typedef {import("./types.mjs").Vec} Vec
 * @typedef {import("./types.mjs").Box} Box
 * @typedef {import("./types.mjs").Curve} Curve
 *
 * @typedef {Vec & {arrive?: import("./types.mjs").Pair, leave?: import("./types.mjs").Pair}} Bend
 *   a control point, and its Bezier handles where it has them
 *
 * A flattened curve. `length[i]` is the arc length up to vertex i, `knots[k]` the vertex of control
 * point k.
 * @typedef {{x: Float64Array, y: Float64Array, length: Float64Array, knots: Int32Array}} Path
 */

const STEPS = 64;
const COINCIDENT = 1e-9;

/**
 * Flatten control points into a polyline with arc lengths.
 *
 * Splines are centripetal Catmull-Rom with reflected phantom end points, 64 steps a segment. The
 * Barry-Goldman pyramid is evaluated as the cubic Hermite polynomial it equals. `tension` multiplies
 * its tangents by 1 - tension; a point's Bezier handles, which lie `arrive` and `leave` from it, are a
 * third of the tangents that they take the place of.
 * @param {Bend[]} points in px, at least one
 * @param {Curve} curve
 * @param {number} [steps] a segment; all but sketches use the default
 * @param {number} [tension]
 * @returns {Path}
 */
export function flatten(points, curve, steps = STEPS, tension = 0) {
  const n = points.length;
  const bent = n > 1 && points.some((p) => p.arrive || p.leave);
  const smooth = curve === "spline" && (n > 2 || bent);
  const knots = new Int32Array(n);
  let total = 1;
  for (let i = 0; i + 1 < n; i++) {
    total += smooth && distance(points[i], points[i + 1]) >= COINCIDENT ? steps : 1;
    knots[i + 1] = total - 1;
  }
  const x = new Float64Array(total);
  const y = new Float64Array(total);
  x[0] = points[0].x;
  y[0] = points[0].y;
  for (let i = 0; i + 1 < n; i++) {
    if (knots[i + 1] - knots[i] > 1) fillSegment(points, i, x, y, knots[i], steps, tension);
    x[knots[i + 1]] = points[i + 1].x;
    y[knots[i + 1]] = points[i + 1].y;
  }
  const length = new Float64Array(total);
  for (let i = 1; i < total; i++) {
    const dx = x[i] - x[i - 1];
    const dy = y[i] - y[i - 1];
    length[i] = length[i - 1] + Math.sqrt(dx * dx + dy * dy);
  }
  return { x, y, length, knots };
}

/**
 * @param {Bend[]} points
 * @param {number} i segment from point i to i + 1
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @param {number} at vertex of point i
 * @param {number} steps
 * @param {number} tension
 */
function fillSegment(points, i, x, y, at, steps, tension) {
  const b = points[i];
  const c = points[i + 1];
  const { mbx, mby, mcx, mcy } = segmentTangents(points, i, tension);
  const x3 = 2 * b.x - 2 * c.x + mbx + mcx;
  const y3 = 2 * b.y - 2 * c.y + mby + mcy;
  const x2 = 3 * c.x - 3 * b.x - 2 * mbx - mcx;
  const y2 = 3 * c.y - 3 * b.y - 2 * mby - mcy;
  for (let k = 1; k < steps; k++) {
    const u = k / steps;
    x[at + k] = ((x3 * u + x2) * u + mbx) * u + b.x;
    y[at + k] = ((y3 * u + y2) * u + mby) * u + b.y;
  }
}

/**
 * The tangents of a segment, at its beginning (`mb`) and its end (`mc`).
 * @param {Bend[]} points
 * @param {number} i segment from point i to i + 1
 * @param {number} tension
 */
function segmentTangents(points, i, tension) {
  const b = points[i];
  const c = points[i + 1];
  const a = neighbour(points[i - 1], b, c);
  const d = neighbour(points[i + 2], c, b);
  const ab = Math.sqrt(distance(a, b));
  const bc = Math.sqrt(distance(b, c));
  const cd = Math.sqrt(distance(c, d));
  const slack = 1 - tension;
  let mbx = slack * (bc * ((b.x - a.x) / ab - (c.x - a.x) / (ab + bc)) + (c.x - b.x));
  let mby = slack * (bc * ((b.y - a.y) / ab - (c.y - a.y) / (ab + bc)) + (c.y - b.y));
  let mcx = slack * (bc * ((d.x - c.x) / cd - (d.x - b.x) / (bc + cd)) + (c.x - b.x));
  let mcy = slack * (bc * ((d.y - c.y) / cd - (d.y - b.y) / (bc + cd)) + (c.y - b.y));
  if (b.leave) [mbx, mby] = [3 * b.leave[0], 3 * b.leave[1]];
  if (c.arrive) [mcx, mcy] = [-3 * c.arrive[0], -3 * c.arrive[1]];
  return { mbx, mby, mcx, mcy };
}

/**
 * The Bezier handles that a control point of a spline has, given or not.
 * @param {Bend[]} points
 * @param {number} index
 * @param {number} [tension]
 * @returns {{arrive?: import("./types.mjs").Pair, leave?: import("./types.mjs").Pair}}
 */
export function tangentsAt(points, index, tension = 0) {
  /** @type {ReturnType<typeof tangentsAt>} */
  const result = {};
  const apart = (/** @type {number} */ i) => distance(points[i], points[i + 1]) >= COINCIDENT;
  if (index > 0 && apart(index - 1)) {
    const { mcx, mcy } = segmentTangents(points, index - 1, tension);
    result.arrive = [-mcx / 3, -mcy / 3];
  }
  if (index + 1 < points.length && apart(index)) {
    const { mbx, mby } = segmentTangents(points, index, tension);
    result.leave = [mbx / 3, mby / 3];
  }
  return result;
}

/**
 * The control point beyond `near`, or the reflection of `far` where there is none apart from it.
 * @param {Vec | undefined} point
 * @param {Vec} near
 * @param {Vec} far
 */
function neighbour(point, near, far) {
  if (point && distance(point, near) >= COINCIDENT) return point;
  return { x: 2 * near.x - far.x, y: 2 * near.y - far.y };
}

/**
 * @param {Vec} a
 * @param {Vec} b
 */
export function distance(a, b) {
  const dx = a.x - b.x;
  const dy = a.y - b.y;
  return Math.sqrt(dx * dx + dy * dy);
}

/**
 * Position at an arc length, clamped to the path's ends.
 * @param {Path} path
 * @param {number} length in px
 * @returns {Vec}
 */
export function pointAt(path, length) {
  const last = path.length.length - 1;
  if (length <= 0 || last === 0) return { x: path.x[0], y: path.y[0] };
  if (length >= path.length[last]) return { x: path.x[last], y: path.y[last] };
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (path.length[middle] <= length) low = middle;
    else high = middle;
  }
  const u = (length - path.length[low]) / (path.length[high] - path.length[low]);
  return {
    x: path.x[low] + u * (path.x[high] - path.x[low]),
    y: path.y[low] + u * (path.y[high] - path.y[low]),
  };
}

/**
 * The place on a path nearest to a point.
 * @param {Path} path
 * @param {Vec} point
 * @returns {{distance: number, length: number, segment: number}} `segment` counts control points:
 *   a new one belongs at index segment + 1
 */
export function nearest(path, point) {
  let best = Infinity;
  let length = 0;
  let vertex = 0;
  for (let i = 0; i < path.x.length; i++) {
    const j = Math.min(i + 1, path.x.length - 1);
    const dx = path.x[j] - path.x[i];
    const dy = path.y[j] - path.y[i];
    const px = point.x - path.x[i];
    const py = point.y - path.y[i];
    const norm = dx * dx + dy * dy;
    const u = norm > 0 ? Math.min(1, Math.max(0, (px * dx + py * dy) / norm)) : 0;
    const ex = px - u * dx;
    const ey = py - u * dy;
    const squared = ex * ex + ey * ey;
    if (squared < best) {
      best = squared;
      length = path.length[i] + u * Math.sqrt(norm);
      vertex = i;
    }
  }
  let segment = 0;
  while (segment + 2 < path.knots.length && path.knots[segment + 1] <= vertex) segment++;
  return { distance: Math.sqrt(best), length, segment };
}

/**
 * Drop points that lie within a tolerance of the line through their neighbours
 * (Ramer-Douglas-Peucker, without recursion so that long strokes are safe).
 * @template {Vec} P
 * @param {P[]} points
 * @param {number} tolerance
 * @returns {P[]} always with the first and last point
 */
export function simplify(points, tolerance) {
  return thinned(points, tolerance, distanceToSegment);
}

/**
 * Drop points that the kept ones before and after them tell of well enough.
 * @template P
 * @param {P[]} points
 * @param {number} tolerance
 * @param {(point: P, before: P, after: P) => number} distance how far a point is from what they tell
 * @returns {P[]} always with the first and last point
 */
export function thinned(points, tolerance, distance) {
  if (points.length < 3) return points.slice();
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  /** @type {[number, number][]} */
  const stack = [[0, points.length - 1]];
  while (stack.length) {
    const [first, last] = /** @type {[number, number]} */ (stack.pop());
    let worst = tolerance;
    let split = -1;
    for (let i = first + 1; i < last; i++) {
      const off = distance(points[i], points[first], points[last]);
      if (off > worst) {
        worst = off;
        split = i;
      }
    }
    if (split < 0) continue;
    keep[split] = 1;
    stack.push([first, split], [split, last]);
  }
  return points.filter((_, i) => keep[i]);
}

/**
 * @param {Vec} p
 * @param {Vec} a
 * @param {Vec} b
 */
function distanceToSegment(p, a, b) {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const norm = dx * dx + dy * dy;
  const u = norm > 0 ? Math.min(1, Math.max(0, ((p.x - a.x) * dx + (p.y - a.y) * dy) / norm)) : 0;
  return Math.hypot(p.x - a.x - u * dx, p.y - a.y - u * dy);
}

/**
 * @param {Iterable<Vec>} points
 * @returns {Box | null} null without points
 */
export function bounds(points) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { x, y } of points) {
    box.left = Math.min(box.left, x);
    box.top = Math.min(box.top, y);
    box.right = Math.max(box.right, x);
    box.bottom = Math.max(box.bottom, y);
  }
  return box.left <= box.right ? box : null;
}

/**
 * The box spanned by two corners.
 * @param {Vec} a
 * @param {Vec} b
 * @returns {Box}
 */
export function boxOf(a, b) {
  return {
    left: Math.min(a.x, b.x),
    top: Math.min(a.y, b.y),
    right: Math.max(a.x, b.x),
    bottom: Math.max(a.y, b.y),
  };
}

/**
 * @param {Box} box
 * @param {Vec} point
 */
export function contains(box, point) {
  return point.x >= box.left && point.x <= box.right && point.y >= box.top && point.y <= box.bottom;
}
