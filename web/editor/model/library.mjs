/**
 * What people keep for later and share: easing curves and templates, by name.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").EasingCurve} EasingCurve
 * @typedef {{easings: {name: string, easing: EasingCurve}[],
 *   templates: {name: string, document: Doc}[]}} Library
 */
import { isName, parse } from "./document.mjs";
import { isObject, keys, list, number, refuse } from "./fields.mjs";

/** Says what a file is. */
export const LIBRARY = "tora2_library";
const MOST = 64;

/** @type {Library} */
export const EMPTY = Object.freeze({ easings: [], templates: [] });

/** @param {unknown} value */
export function isLibrary(value) {
  return isObject(value) && LIBRARY in value;
}

/**
 * @param {unknown} value
 * @returns {Library}
 * @throws {import("./fields.mjs").DocumentError}
 */
export function readLibrary(value) {
  const fields = keys(value, "the presets", [LIBRARY], ["easings", "templates"]);
  if (fields[LIBRARY] !== 1) throw refuse(LIBRARY, fields[LIBRARY], "1");
  return {
    easings: list(fields.easings ?? [], "easings", 0, MOST).map((item, i) => {
      const { name, easing } = keys(item, `easings[${i}]`, ["name", "easing"], []);
      const path = `easings[${i}].easing`;
      const parts = list(easing, path, 4, 4).map((v, n) => number(v, `${path}[${n}]`, 0, 1));
      return { name: named(name, i), easing: /** @type {EasingCurve} */ (parts) };
    }),
    templates: list(fields.templates ?? [], "templates", 0, MOST).map((item, i) => {
      const template = keys(item, `templates[${i}]`, ["name", "document"], []);
      return { name: named(template.name, i), document: parse(template.document) };
    }),
  };
}

/** @param {Library} library */
export function written(library) {
  return { [LIBRARY]: 1, ...library };
}

/**
 * Both, of which the later wins where a name is in both.
 * @param {Library} a
 * @param {Library} b
 * @returns {Library}
 */
export function united(a, b) {
  return { easings: both(a.easings, b.easings), templates: both(a.templates, b.templates) };
}

/** @template {{name: string}} T @param {T[]} a @param {T[]} b @returns {T[]} */
function both(a, b) {
  const names = new Set(b.map(({ name }) => name));
  return [...a.filter(({ name }) => !names.has(name)), ...b].slice(-MOST);
}

/** @param {unknown} name @param {number} i */
function named(name, i) {
  if (typeof name !== "string" || !isName(name)) {
    throw refuse(`the name of preset ${i}`, name, "a text of 1 to 80 characters");
  }
  return name;
}
