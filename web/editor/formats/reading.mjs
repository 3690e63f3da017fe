/**
 * Whatever a workflow file holds: a document of ours, one of a later version, or neither.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {{kind: "document", document: Doc}
 *   | {kind: "newer", document: Doc | null, version: number}
 *   | {kind: "junk", message: string}} Reading
 */
import {
  emptyDocument,
  LIMITS,
  NEWER_POINT,
  NEWER_TRACK,
  parse,
  VERSION,
} from "../model/document.mjs";
import { asList, DocumentError, isObject, pick, show } from "../model/fields.mjs";

/**
 * Read any value as a document. Never throws.
 * @param {unknown} value an object, JSON text, or nothing at all
 * @returns {Reading}
 */
export function read(value) {
  if (value === null || value === undefined || value === "") {
    return { kind: "document", document: emptyDocument() };
  }
  try {
    const content = typeof value === "string" ? fromText(value) : value;
    const version = isObject(content) ? content.version : undefined;
    if (typeof version === "number" && Number.isInteger(version) && version > VERSION) {
      return { kind: "newer", version, document: readNewer(content) };
    }
    return { kind: "document", document: parse(content) };
  } catch (error) {
    if (error instanceof DocumentError) return { kind: "junk", message: error.message };
    throw error;
  }
}

/** @param {string} text */
function fromText(text) {
  if (text.length > LIMITS.text) {
    throw new DocumentError(
      `a trajectory document of ${text.length} characters is too long, expected at most ${LIMITS.text}`,
    );
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DocumentError(`a trajectory document is not JSON: ${show(text)}`);
  }
}

const DOCUMENT = ["width", "height", "frames", "fps", "camera"];
const ENTITY = ["name", "color"];
const TRACK = ["entity", "curve", "start", "end", "easing"].concat(NEWER_TRACK);
const POINT = ["frame"].concat(NEWER_POINT);

/**
 * A best effort at a document of a later version, for looking at only: what has another shape than we
 * know is left out alone, and all else is seen.
 * @param {unknown} content
 * @returns {Doc | null} null where nothing of it is known
 */
function readNewer(content) {
  const known = pick(content, [...DOCUMENT, "entities", "tracks"]);
  if (!Object.keys(known).length) return null;
  const items = (/** @type {"entities" | "tracks"} */ key) =>
    asList(known[key]).slice(0, LIMITS[key]);
  /** @type {Doc} */
  let doc = { ...emptyDocument(), version: VERSION };
  for (const [key, part] of Object.entries(pick(known, DOCUMENT))) {
    doc = parsed({ ...doc, version: VERSION, [key]: part }) ?? doc;
  }
  /** @type {Doc} */
  const empty = { ...doc, version: VERSION };
  const entities = once(items("entities").map((item) => entityOf(item, empty)));
  const shell = { ...empty, entities };
  const tracks = once(items("tracks").map((item) => trackOf(item, shell)));
  return parsed({ ...shell, tracks });
}

/** @param {unknown} value @param {Doc} doc */
function entityOf(value, doc) {
  const one = (/** @type {unknown} */ item) =>
    parsed({ ...doc, entities: [item] })?.entities[0] ?? null;
  return grown(pick(value, ["id"]), pick(value, ENTITY), one);
}

/** @param {unknown} value @param {Doc} doc */
function trackOf(value, doc) {
  const one = (/** @type {unknown} */ item) =>
    parsed({ ...doc, tracks: [item] })?.tracks[0] ?? null;
  const fields = pick(value, TRACK);
  const { id, points } = pick(value, ["id", "points"]);
  const places = asList(points)
    .slice(0, LIMITS.points)
    .filter((point) => isPlace(pick(point, ["x", "y"])));
  for (const keys of [POINT, ["frame"], []]) {
    const least = { id, points: places.map((point) => pick(point, ["x", "y", ...keys])) };
    const whole = one({ ...least, ...fields });
    if (whole) return whole;
    if (keys.length === 0) return grown(least, fields, one);
  }
  return null;
}

/** @param {Record<string, unknown>} point */
function isPlace({ x, y }) {
  const near = (/** @type {unknown} */ v) =>
    typeof v === "number" && Math.abs(v) <= LIMITS.fraction;
  return near(x) && near(y);
}

/**
 * What is known, with as much of the rest as can be read.
 * @template T
 * @param {Record<string, unknown>} least
 * @param {Record<string, unknown>} rest
 * @param {(value: unknown) => T | null} one
 */
function grown(least, rest, one) {
  let [known, result] = [least, one(least)];
  for (const [key, part] of Object.entries(rest)) {
    const more = { ...known, [key]: part };
    const better = result && one(more);
    if (better) [known, result] = [more, better];
  }
  return result;
}

/** The items that are there, each id once. @template {{id: string}} T @param {(T | null)[]} items @returns {T[]} */
function once(items) {
  /** @type {Map<string, T>} */
  const known = new Map();
  for (const item of items) if (item && !known.has(item.id)) known.set(item.id, item);
  return [...known.values()];
}

/** @param {unknown} value @returns {Doc | null} null where it is refused */
function parsed(value) {
  try {
    return parse(value);
  } catch (error) {
    if (error instanceof DocumentError) return null;
    throw error;
  }
}
