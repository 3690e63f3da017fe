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

export const VERSION = 1;
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
});
export const CURVES = /** @type {const} */ (["spline", "linear"]);
export const EASINGS = /** @type {const} */ (["linear", "in", "out", "in-out"]);
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
    version: VERSION,
    width: 720,
    height: 480,
    frames: 49,
    fps: 8,
    entities: [],
    tracks: [],
  };
}

/**
 * @param {unknown} value
 * @returns {Doc} with every default filled in
 * @throws {DocumentError}
 */
export function parse(value) {
  let content = value;
  if (!isObject(content)) throw refuse("the document", content, "an object");
  if (content.version === 0) content = migrate0(content);
  if (!isObject(content) || content.version !== VERSION) {
    throw refuse("version", /** @type {any} */ (content).version, `${VERSION}`);
  }
  keys(
    content,
    "the document",
    ["version", "width", "height", "frames", "tracks"],
    ["fps", "entities"],
  );
  const frames = integer(content.frames, "frames", 1, LIMITS.frames);
  if (!isClipLength(frames)) throw refuse("frames", frames, "4k + 1 frames, such as 17 or 49");
  const entities = list(content.entities ?? [], "entities", 0, LIMITS.entities).map(entity);
  unique(entities, "entities");
  const known = new Set(entities.map((e) => e.id));
  const tracks = list(content.tracks, "tracks", 0, LIMITS.tracks).map((item, i) =>
    track(item, `tracks[${i}]`, frames, known),
  );
  unique(tracks, "tracks");
  return {
    version: VERSION,
    width: integer(content.width, "width", LIMITS.minSide, LIMITS.maxSide),
    height: integer(content.height, "height", LIMITS.minSide, LIMITS.maxSide),
    frames,
    fps: number(content.fps ?? 8, "fps", 0.1, 1000),
    entities,
    tracks,
  };
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
 * @returns {Track}
 */
function track(value, path, frames, entities) {
  const fields = keys(value, path, ["id", "points"], ["entity", "curve", "start", "end", "easing"]);
  const owner = fields.entity ?? null;
  if (owner !== null && (typeof owner !== "string" || !entities.has(owner))) {
    throw refuse(`${path}.entity`, owner, "null or the id of one of the entities");
  }
  const start = integer(fields.start ?? 0, `${path}.start`, 0, frames - 1);
  const end = integer(fields.end ?? frames - 1, `${path}.end`, start, frames - 1);
  const points = list(fields.points, `${path}.points`, 1, LIMITS.points).map((item, i) =>
    point(item, `${path}.points[${i}]`, frames),
  );
  checkKeys(points, `${path}.points`, start, end);
  return {
    id: identifier(fields.id, `${path}.id`),
    entity: owner,
    curve: choice(fields.curve ?? "spline", `${path}.curve`, CURVES),
    points,
    start,
    end,
    easing: choice(fields.easing ?? "linear", `${path}.easing`, EASINGS),
  };
}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {number} frames
 * @returns {Point}
 */
function point(value, path, frames) {
  const { x, y, frame } = keys(value, path, ["x", "y"], ["frame"]);
  /** @type {Point} */
  const result = {
    x: number(x, `${path}.x`, -LIMITS.fraction, LIMITS.fraction),
    y: number(y, `${path}.y`, -LIMITS.fraction, LIMITS.fraction),
  };
  if (frame !== undefined) result.frame = integer(frame, `${path}.frame`, 0, frames - 1);
  return result;
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
