/**
 * Paths of a drawing: SVG, in both directions, as far as lines and Bezier curves go.
 * `tora2.trajectory.formats.svg` says the same.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../model/types.mjs").Pair} Pair
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("./runs.mjs").Canvas} Canvas
 * @typedef {import("./runs.mjs").Foreign} Foreign
 * @typedef {{at: Pair, arrive?: Pair, leave?: Pair, quadratic?: Pair}} Node a point and its Bezier
 *   handles, all absolute
 */
import { LIMITS, parse } from "../model/document.mjs";
import { colorsOf } from "../model/entities.mjs";
import { DocumentError, show } from "../model/fields.mjs";
import { tangentsAt } from "../model/geometry.mjs";
import { bends } from "../model/sampling.mjs";
import { titleOf } from "../model/tracks.mjs";

const MOST = 20 * LIMITS.points;
const TAG = /<(path|polyline|polygon|line|svg)\b([^<>]*)>/gi;
const ATTRIBUTE = /([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const TOKEN = /([A-Za-z])|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/g;
/** @type {Record<string, number>} */
const COUNTS = { M: 2, L: 2, H: 1, V: 1, C: 6, S: 4, Q: 4, T: 2, Z: 0 };

/** @param {string} text */
export function isSvg(text) {
  return /^\s*<(\?xml|svg|!doctype svg|!--)/i.test(text.slice(0, 512));
}

/**
 * Every path, polyline, polygon and line as a track over all frames. The viewBox, else width and
 * height, is stretched to the canvas; transforms are refused.
 * @param {string} text
 * @param {Canvas} canvas
 * @returns {Foreign}
 */
export function fromSvg(text, { width, height, frames }) {
  let [left, top, wide, high] = [0, 0, width, height];
  const tracks = [];
  for (const [, tag, content] of text.matchAll(TAG)) {
    const name = tag.toLowerCase();
    /** @type {Record<string, string>} */
    const fields = Object.fromEntries(
      [...content.matchAll(ATTRIBUTE)].map(([, key, a, b]) => [key.toLowerCase(), a ?? b]),
    );
    if ("transform" in fields) {
      throw new DocumentError(`a ${name} of the drawing has a transform, expected none`);
    }
    if (name === "svg") {
      const box = numbers(fields.viewbox ?? "");
      const [w] = numbers(fields.width ?? "");
      const [h] = numbers(fields.height ?? "");
      const percent = `${fields.width}${fields.height}`.includes("%");
      if (box.length === 4 && box[2] > 0 && box[3] > 0) [left, top, wide, high] = box;
      else if (w > 0 && h > 0 && !percent) [wide, high] = [w, h];
      continue;
    }
    for (const nodes of shapes(name, fields)) {
      if (tracks.length === LIMITS.tracks) {
        throw new DocumentError(`the drawing has more paths, expected at most ${LIMITS.tracks}`);
      }
      tracks.push({ id: `t${tracks.length + 1}`, points: points(nodes, left, top, wide, high) });
    }
  }
  if (!tracks.length) {
    throw new DocumentError("the drawing holds no path, polyline, polygon or line, expected one");
  }
  return { doc: parse({ version: 2, width, height, frames, tracks }), own: true, lost: 0 };
}

/**
 * The paths as they are drawn, each of cubic Bezier curves.
 * @param {Doc} doc
 * @returns {string}
 */
export function svgOf(doc) {
  const { width, height } = doc;
  const colors = colorsOf(doc);
  const rows = doc.tracks.map((track) => {
    const title = titleOf(track).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
    const look = `fill="none" stroke="${colors.get(track.id)}" stroke-width="3"`;
    return `<path id="${track.id}" d="${drawn(track, doc)}" ${look} stroke-linecap="round"><title>${title}</title></path>`;
  });
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}"`;
  return `${head} width="${width}" height="${height}">\n${rows.join("\n")}\n</svg>\n`;
}

/** @param {Track} track @param {Doc} doc */
function drawn(track, { width, height }) {
  const places = bends(track, width, height);
  const short = (/** @type {number[]} */ ...values) =>
    values.map((value) => Math.round(value * 1000) / 1000 + 0).join(" ");
  let text = `M${short(places[0].x, places[0].y)}`;
  if (places.length === 1) return `${text}h0`;
  const bent = places.some(({ arrive, leave }) => arrive || leave);
  const smooth = track.curve === "spline" && (places.length > 2 || bent);
  for (let i = 1; i < places.length; i++) {
    const [a, b] = [places[i - 1], places[i]];
    const leave = smooth && tangentsAt(places, i - 1, track.tension).leave;
    const arrive = smooth && tangentsAt(places, i, track.tension).arrive;
    if (!leave || !arrive) text += `L${short(b.x, b.y)}`;
    else {
      const first = short(a.x + leave[0], a.y + leave[1]);
      text += `C${first} ${short(b.x + arrive[0], b.y + arrive[1], b.x, b.y)}`;
    }
  }
  return text;
}

/** @param {string} text */
function numbers(text) {
  return [...text.matchAll(TOKEN)].flatMap(([, , value]) => (value ? [Number(value)] : []));
}

/** @param {string} name @param {Record<string, string>} fields @returns {Node[][]} */
function shapes(name, fields) {
  if (name === "path") return [...pathNodes(fields.d ?? "")];
  if (name === "line") {
    const [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map(
      (key) => numbers(fields[key] ?? "0")[0] ?? 0,
    );
    return [[{ at: [x1, y1] }, { at: [x2, y2] }]];
  }
  const flat = numbers(fields.points ?? "");
  /** @type {Node[]} */
  const nodes = [];
  for (let i = 0; i + 1 < flat.length; i += 2) nodes.push({ at: [flat[i], flat[i + 1]] });
  if (name === "polygon" && nodes.length) nodes.push({ at: nodes[0].at });
  return nodes.length ? [nodes] : [];
}

/** The parts of a path's `d`, each from one `M` to the next. @param {string} text @returns {Generator<Node[]>} */
function* pathNodes(text) {
  /** @type {Node[]} */
  let nodes = [];
  for (const [command, relative, v] of commands(text)) {
    const [x, y] = nodes[nodes.length - 1]?.at ?? [0, 0];
    const [dx, dy] = relative ? [x, y] : [0, 0];
    if (command === "M") {
      if (nodes.length) yield nodes;
      nodes = [{ at: [v[0] + dx, v[1] + dy] }];
      continue;
    }
    if (!nodes.length) throw new DocumentError(`a path begins with ${command}, expected M`);
    if (command === "Z") nodes.push({ at: nodes[0].at });
    else if (command === "L") nodes.push({ at: [v[0] + dx, v[1] + dy] });
    else if (command === "H") nodes.push({ at: [v[0] + dx, y] });
    else if (command === "V") nodes.push({ at: [x, v[0] + dy] });
    else {
      /** @type {Pair[]} */
      const pairs = [];
      for (let i = 0; i < v.length; i += 2) pairs.push([v[i] + dx, v[i + 1] + dy]);
      nodes.push(curve(command, nodes[nodes.length - 1], pairs));
    }
  }
  if (nodes.length) yield nodes;
}

/** @param {string} command @param {Node} last @param {Pair[]} pairs @returns {Node} */
function curve(command, last, pairs) {
  const [x, y] = last.at;
  if (command === "S" || command === "T") {
    const [ax, ay] = (command === "S" ? last.arrive : last.quadratic) ?? last.at;
    pairs = [[2 * x - ax, 2 * y - ay], ...pairs];
  }
  const at = pairs[pairs.length - 1];
  if (command === "C" || command === "S") {
    last.leave = pairs[0];
    return { at, arrive: pairs[1] };
  }
  const [qx, qy] = pairs[0];
  last.leave = [x + ((qx - x) * 2) / 3, y + ((qy - y) * 2) / 3];
  const arrive = /** @type {Pair} */ ([
    at[0] + ((qx - at[0]) * 2) / 3,
    at[1] + ((qy - at[1]) * 2) / 3,
  ]);
  return { at, arrive, quadratic: [qx, qy] };
}

/** @param {string} text @returns {Generator<[string, boolean, number[]]>} */
function* commands(text) {
  const tokens = [...text.matchAll(TOKEN)];
  if (tokens.length > MOST) {
    throw new DocumentError(`a path has ${tokens.length} parts, expected at most ${MOST}`);
  }
  let command = "";
  for (let at = 0; at < tokens.length;) {
    const [, letter, value] = tokens[at];
    if (letter) {
      command = letter;
      at++;
    } else if (["", "Z"].includes(command.toUpperCase())) {
      throw new DocumentError(`a path has the number ${value} where a command is expected`);
    }
    const kind = command.toUpperCase();
    const count = COUNTS[kind];
    if (count === undefined) {
      throw new DocumentError(
        `a path has the command ${show(command)}, expected M L H V C S Q T Z`,
      );
    }
    const values = tokens.slice(at, at + count).map(([, , number]) => number);
    if (values.length < count || values.some((value) => value === undefined)) {
      throw new DocumentError(`a path ends within the command ${command}`);
    }
    at += count;
    yield [kind, command !== kind, values.map(Number)];
    if (kind === "M") command = command === "m" ? "l" : "L"; // further pairs are lines
  }
}

/** Fractions; a straight stretch has handles along it, so that the spline stays straight. @param {Node[]} nodes @param {number} left @param {number} top @param {number} wide @param {number} high */
function points(nodes, left, top, wide, high) {
  return nodes.map(({ at: [x, y], arrive, leave }, i) => {
    /** @type {Record<string, unknown>} */
    const point = { x: (x - left) / wide, y: (y - top) / high };
    const towards = (/** @type {Node} */ { at: [bx, by] }) => [x + (bx - x) / 3, y + (by - y) / 3];
    const off = (/** @type {number[]} */ [hx, hy]) => [(hx - x) / wide, (hy - y) / high];
    if (i > 0) point.arrive = off(arrive ?? towards(nodes[i - 1]));
    if (i + 1 < nodes.length) point.leave = off(leave ?? towards(nodes[i + 1]));
    return point;
  });
}
