/**
 * Progress over time between two keys, by a name or by the handles of a cubic Bezier.
 * `tora2.trajectory.timing` says the same.
 *
 * @typedef {import("./types.mjs").Easing} Easing
 * @typedef {import("./types.mjs").EasingName} EasingName
 * @typedef {import("./types.mjs").EasingCurve} EasingCurve
 */

const HALVINGS = 50;

/** @type {Record<EasingName, (u: number) => number>} */
const NAMED = {
  linear: (u) => u,
  in: (u) => u * u,
  out: (u) => 1 - (1 - u) * (1 - u),
  "in-out": (u) => (u < 0.5 ? 2 * u * u : 1 - 2 * (1 - u) * (1 - u)),
};

/** Curves close to the named ones, to begin an edit with. @type {Record<EasingName, EasingCurve>} */
const CURVES = {
  linear: [0.33, 0.33, 0.67, 0.67],
  in: [0.33, 0, 0.67, 0.33],
  out: [0.33, 0.67, 0.67, 1],
  "in-out": [0.5, 0, 0.5, 1],
};

/**
 * @param {Easing} easing
 * @param {number} u in [0, 1]
 */
export function ease(easing, u) {
  return typeof easing === "string" ? NAMED[easing](u) : bezier(easing, u);
}

/** @param {Easing} easing @returns {EasingCurve} the handles that are drawn for it */
export function handlesOf(easing) {
  return typeof easing === "string" ? CURVES[easing] : easing;
}

/** The same backwards in time. @param {Easing} easing @returns {Easing} */
export function turned(easing) {
  if (typeof easing !== "string") {
    const [x1, y1, x2, y2] = easing;
    return [1 - x2, 1 - y2, 1 - x1, 1 - y1];
  }
  if (easing === "in") return "out";
  return easing === "out" ? "in" : easing;
}

/** The cubic's y where its x is u; x rises, so halving finds the parameter. @param {EasingCurve} handles @param {number} u */
function bezier([x1, y1, x2, y2], u) {
  if (u <= 0) return 0;
  if (u >= 1) return 1;
  let low = 0;
  let high = 1;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (cubic(middle, x1, x2) < u) low = middle;
    else high = middle;
  }
  return cubic((low + high) / 2, y1, y2);
}

/** @param {number} t @param {number} first @param {number} second */
export function cubic(t, first, second) {
  return ((3 * first - 3 * second + 1) * t + 3 * second - 6 * first) * t * t + 3 * first * t;
}
