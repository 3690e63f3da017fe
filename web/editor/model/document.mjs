/**
 * What a trajectory document is. They come from workflow files, so nothing in them is trusted: the
 * same bounds and the same strictness as `tora2.trajectory.document`, which has the last word.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Entity} Entity
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Point} Point
 */

import { choice, DocumentError, integer, isObject, keys, list, number, refuse } from "./fields.mjs";
import { isClipLength } from "./frames.mjs";

/** The newest version. A document that uses nothing of it says version 1 (`versioned`). */
export const VERSION = 2;
export const LIMITS = Object.freeze({
  text: 4 * 1024 * 1024,
  tracks: 512,
  points: 1024,
  frames: 1025,
  entities: 64,
  minSide: 16,
  maxSide: 8192,
  fraction: 16,
  name: 80,
  hidden: 64,
  cameraKeys: 256,
  minScale: 0.01,
  maxScale: 100,
  minZoom: 0.05,
  maxZoom: 20,
  roll: 3600,
});
export const CURVES = /** @type {const} */ (["spline", "linear"]);
export const EASINGS = /** @type {const} */ (["linear", "in", "out", "in-out"]);
export const OUTSIDE = /** @type {const} */ (["absent", "wait"]);
/** What only version 2 has. */
export const NEWER_TRACK = ["name", "group", "before", "after", "hidden", "tension"];
export const NEWER_POINT = ["scale", "arrive", "leave"];
export const PALETTE = Object.freeze([
  "#e4572e",
  "#2e86de",
  "#29a36a",
  "#f0a202",
  "#8e44ad",
  "#17a2b8",
  "#d6336c",
  "#7a6a53",
]);

/** @returns {Doc} an empty document of the size CogVideoX was trained at */
export function emptyDocument() {
  return {
    version: 1,
    width: 720,
    height: 480,
    frames: 49,
    fps: 8,
    entities: [],
    tracks: [],
  };
}

/**
 * The same document under the lowest version that can say it, so that what older programs can read
 * stays readable to them, and workflows stay as they were.
 * @param {Doc} doc
 * @returns {Doc}
 */
export function versioned(doc) {
  const newer =
    doc.camera !== undefined ||
    doc.tracks.some(
      (t) =>
        typeof t.easing !== "string" ||
        NEWER_TRACK.some((key) => key in t) ||
        t.points.some((p) => NEWER_POINT.some((key) => key in p)),
    );
  const version = newer ? 2 : 1;
  return doc.version === version ? doc : { ...doc, version };
}

/**
 * @param {unknown} value
 * @returns {Doc} with every default of version 1 filled in
 * @throws {DocumentError}
 */
export function parse(value) {
  let content = value;
  if (!isObject(content)) throw refuse("the document", content, "an object");
  if (content.version === 0) content = migrate0(content);
  if (!isObject(content) || (content.version !== 1 && content.version !== VERSION)) {
    throw refuse("version", /** @type {any} */ (content).version, `at most ${VERSION}`);
  }
  const newer = content.version === VERSION;
  const optional = ["fps", "entities", ...(newer ? ["camera"] : [])];
  keys(content, "the document", ["version", "width", "height", "frames", "tracks"], optional);
  const frames = integer(content.frames, "frames", 1, LIMITS.frames);
  if (!isClipLength(frames)) throw refuse("frames", frames, "4k + 1 frames, such as 17 or 49");
  const entities = list(content.entities ?? [], "entities", 0, LIMITS.entities).map(entity);
  unique(entities, "entities");
  const known = new Set(entities.map((e) => e.id));
  const tracks = list(content.tracks, "tracks", 0, LIMITS.tracks).map((item, i) =>
    track(item, `tracks[${i}]`, frames, known, newer),
  );
  unique(tracks, "tracks");
  /** @type {Doc} */
  const doc = {
    version: 1,
    width: integer(content.width, "width", LIMITS.minSide, LIMITS.maxSide),
    height: integer(content.height, "height", LIMITS.minSide, LIMITS.maxSide),
    frames,
    fps: number(content.fps ?? 8, "fps", 0.1, 1000),
    entities,
    tracks,
  };
  if (content.camera !== undefined && content.camera !== null) {
    doc.camera = camera(content.camera, frames);
  }
  return versioned(doc);
}

/**
 * Version 0, the first sketch: bare lists of pixel points, all of them free spline tracks.
 * @param {Record<string, unknown>} content
 */
function migrate0(content) {
  keys(content, "the document", ["version", "width", "height", "frames", "tracks"], []);
  const width = integer(content.width, "width", LIMITS.minSide, LIMITS.maxSide);
  const height = integer(content.height, "height", LIMITS.minSide, LIMITS.maxSide);
  const tracks = list(content.tracks, "tracks", 0, LIMITS.tracks).map((item, i) => ({
    id: `t${i + 1}`,
    points: list(item, `tracks[${i}]`, 1, LIMITS.points).map((point, j) => {
      const path = `tracks[${i}][${j}]`;
      const { x, y } = keys(point, path, ["x", "y"], []);
      return {
        x: number(x, `${path}.x`, -1e6, 1e6) / width,
        y: number(y, `${path}.y`, -1e6, 1e6) / height,
      };
    }),
  }));
  return { version: 1, width, height, frames: content.frames, tracks };
}

/**
 * @param {unknown} value
 * @param {number} index
 * @returns {Entity}
 */
function entity(value, index) {
  const path = `entities[${index}]`;
  const fields = keys(value, path, ["id"], ["name", "color"]);
  const id = identifier(fields.id, `${path}.id`);
  const name = fields.name ?? id;
  if (typeof name !== "string" || !isName(name)) {
    throw refuse(`${path}.name`, name, `a text of 1 to ${LIMITS.name} characters`);
  }
  const color = fields.color ?? PALETTE[index % PALETTE.length];
  if (typeof color !== "string" || !/^#[0-9a-fA-F]{6}$/.test(color)) {
    throw refuse(`${path}.color`, color, "a colour such as #e4572e");
  }
  return { id, name, color };
}

/** @param {string} name */
export function isName(name) {
  return name.length > 0 && [...name].length <= LIMITS.name && !/[\p{Cc}\p{Cs}]/u.test(name);
}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {number} frames
 * @param {Set<string>} entities
 * @param {boolean} newer whether it may use what came with version 2
 * @returns {Track}
 */
function track(value, path, frames, entities, newer) {
  const optional = ["entity", "curve", "start", "end", "easing", ...(newer ? NEWER_TRACK : [])];
  const fields = keys(value, path, ["id", "points"], optional);
  const owner = fields.entity ?? null;
  if (owner !== null && (typeof owner !== "string" || !entities.has(owner))) {
    throw refuse(`${path}.entity`, owner, "null or the id of one of the entities");
  }
  const start = integer(fields.start ?? 0, `${path}.start`, 0, frames - 1);
  const end = integer(fields.end ?? frames - 1, `${path}.end`, start, frames - 1);
  const points = list(fields.points, `${path}.points`, 1, LIMITS.points).map((item, i) =>
    point(item, `${path}.points[${i}]`, frames, newer),
  );
  checkKeys(points, `${path}.points`, start, end);
  /** @type {Track} */
  const result = {
    id: identifier(fields.id, `${path}.id`),
    entity: owner,
    curve: choice(fields.curve ?? "spline", `${path}.curve`, CURVES),
    points,
    start,
    end,
    easing: easing(fields.easing ?? "linear", `${path}.easing`, newer),
  };
  const name = fields.name ?? null;
  if (name !== null) {
    if (typeof name !== "string" || !isName(name)) {
      throw refuse(`${path}.name`, name, `a text of 1 to ${LIMITS.name} characters`);
    }
    result.name = name;
  }
  const group = fields.group ?? null;
  if (group !== null) result.group = identifier(group, `${path}.group`);
  const before = choice(fields.before ?? "absent", `${path}.before`, OUTSIDE);
  const after = choice(fields.after ?? "absent", `${path}.after`, OUTSIDE);
  if (before !== "absent") result.before = before;
  if (after !== "absent") result.after = after;
  const hidden = spans(fields.hidden ?? [], `${path}.hidden`, frames);
  if (hidden.length) result.hidden = hidden;
  const tension = number(fields.tension ?? 0, `${path}.tension`, -1, 1);
  if (tension !== 0) result.tension = tension;
  return result;
}

/** @param {unknown} value @param {string} path @param {boolean} newer @returns {import("./types.mjs").Easing} */
function easing(value, path, newer) {
  if (!newer || !Array.isArray(value)) return choice(value, path, EASINGS);
  const parts = list(value, path, 4, 4).map((part, i) => number(part, `${path}[${i}]`, 0, 1));
  return /** @type {import("./types.mjs").EasingCurve} */ (parts);
}

/** @param {unknown} value @param {string} path @param {number} frames */
function spans(value, path, frames) {
  let after = 0;
  return list(value, path, 0, LIMITS.hidden).map((item, i) => {
    const [first, last] = list(item, `${path}[${i}]`, 2, 2);
    const start = integer(first, `${path}[${i}][0]`, after, frames - 1);
    const end = integer(last, `${path}[${i}][1]`, start, frames - 1);
    after = end + 1;
    return /** @type {import("./types.mjs").Pair} */ ([start, end]);
  });
}

/** @param {unknown} value @param {number} frames @returns {import("./types.mjs").Camera} */
function camera(value, frames) {
  const fields = keys(value, "camera", ["keys"], ["easing"]);
  let after = 0;
  const cameraKeys = list(fields.keys, "camera.keys", 1, LIMITS.cameraKeys).map((item, i) => {
    const path = `camera.keys[${i}]`;
    const key = keys(item, path, ["frame"], ["x", "y", "zoom", "roll"]);
    const frame = integer(key.frame, `${path}.frame`, after, frames - 1);
    after = frame + 1;
    return {
      frame,
      x: number(key.x ?? 0, `${path}.x`, -LIMITS.fraction, LIMITS.fraction),
      y: number(key.y ?? 0, `${path}.y`, -LIMITS.fraction, LIMITS.fraction),
      zoom: number(key.zoom ?? 1, `${path}.zoom`, LIMITS.minZoom, LIMITS.maxZoom),
      roll: number(key.roll ?? 0, `${path}.roll`, -LIMITS.roll, LIMITS.roll),
    };
  });
  return { keys: cameraKeys, easing: easing(fields.easing ?? "linear", "camera.easing", true) };
}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {number} frames
 * @param {boolean} newer
 * @returns {Point}
 */
function point(value, path, frames, newer) {
  const optional = newer ? ["frame", ...NEWER_POINT] : ["frame"];
  const { x, y, frame, scale, arrive, leave } = keys(value, path, ["x", "y"], optional);
  /** @type {Point} */
  const result = {
    x: number(x, `${path}.x`, -LIMITS.fraction, LIMITS.fraction),
    y: number(y, `${path}.y`, -LIMITS.fraction, LIMITS.fraction),
  };
  if (frame !== undefined) result.frame = integer(frame, `${path}.frame`, 0, frames - 1);
  if (scale !== undefined) {
    result.scale = number(scale, `${path}.scale`, LIMITS.minScale, LIMITS.maxScale);
  }
  if (arrive !== undefined) result.arrive = handle(arrive, `${path}.arrive`);
  if (leave !== undefined) result.leave = handle(leave, `${path}.leave`);
  return result;
}

/** @param {unknown} value @param {string} path */
function handle(value, path) {
  const far = LIMITS.fraction;
  const parts = list(value, path, 2, 2).map((part, i) => number(part, `${path}[${i}]`, -far, far));
  return /** @type {import("./types.mjs").Pair} */ (parts);
}

/**
 * @param {Point[]} points
 * @param {string} path
 * @param {number} start
 * @param {number} end
 */
function checkKeys(points, path, start, end) {
  let previous = start;
  points.forEach(({ frame }, i) => {
    if (frame === undefined) return;
    const here = `${path}[${i}].frame`;
    if (i === 0) {
      if (frame !== start) throw refuse(here, frame, `${start}, the start of the track`);
    } else if (i === points.length - 1) {
      if (frame !== end) throw refuse(here, frame, `${end}, the end of the track`);
    } else if (frame <= previous || frame >= end) {
      throw refuse(here, frame, `a frame after ${previous} and before ${end}`);
    } else {
      previous = frame;
    }
  });
}

/**
 * @param {unknown} value
 * @param {string} path
 */
function identifier(value, path) {
  if (typeof value !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(value)) {
    throw refuse(path, value, "1 to 64 letters, digits, _ or -");
  }
  return value;
}

/**
 * @param {{id: string}[]} items
 * @param {string} path
 */
function unique(items, path) {
  const seen = new Set();
  items.forEach(({ id }, i) => {
    if (seen.has(id)) throw refuse(`${path}[${i}].id`, id, "an id that occurs once");
    seen.add(id);
  });
}
