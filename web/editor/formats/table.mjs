/**
 * Paths as a table: CSV with columns track, frame, x, y, visible, a row for a track and frame.
 *
 * @typedef {import("./runs.mjs").Canvas} Canvas
 * @typedef {import("./runs.mjs").Run} Run
 */
import { LIMITS } from "../model/document.mjs";
import { DocumentError, refuse, show } from "../model/fields.mjs";
import { linesOf, stripped } from "./lines.mjs";
import { fromRuns } from "./runs.mjs";

const COLUMNS = ["track", "frame", "x", "y", "visible"];
const SEPARATORS = [",", ";", "\t", "|"];
const COMMA = /^[+-]?\d*,\d+$/;
const MAX_LINE = 65536;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const WORDS = new Map([
  ["1", true],
  ["true", true],
  ["0", false],
  ["false", false],
]);

/** Whether the first line names columns of ours. @param {string} text */
export function isTable(text) {
  const [, first] = linesOf(text.slice(0, MAX_LINE)).next().value ?? [1, ""];
  const names = first.toLowerCase().split(separatorOf(first)).map(named);
  return names[0].startsWith(COLUMNS[0]) || (names.includes("x") && names.includes("y"));
}

/** @param {string} cell */
const named = (cell) => stripped(cell).replace(/^"|"$/g, "");

/** What stands between the names: a comma, unless another makes x and y of them. @param {string} header */
function separatorOf(header) {
  const fits = (/** @type {string} */ separator) => {
    const names = header.toLowerCase().split(separator).map(named);
    return names.includes("x") && names.includes("y");
  };
  return SEPARATORS.find(fits) ?? SEPARATORS[0];
}

/**
 * A table with a header. Commas, semicolons, tabs or bars part the columns, which stand in any order, and only x and y must be there. Without a
 * column of frames the rows of a track follow one another; without one of tracks there is one. A
 * track moves evenly over frames that it leaves out, and ends where a row says that it is not
 * visible; if rows follow, they make another track.
 * @param {string} text
 * @param {Canvas} canvas
 */
export function fromTable(text, canvas) {
  const lines = linesOf(text);
  const [number, first] = /** @type {[number, string]} */ (lines.next().value);
  const separator = separatorOf(first);
  const header = cellsOf(first, number, separator).map((name) => name.toLowerCase());
  const known = header.every((name, i) => COLUMNS.includes(name) && header.indexOf(name) === i);
  if (!known || !header.includes("x") || !header.includes("y")) {
    const expected = `${COLUMNS.join(",")}, of which x and y alone must be there`;
    throw refuse("the header", header.join(","), expected);
  }
  /** @type {Map<string, Map<number, [number, number] | null>>} */
  const tracks = new Map();
  let last = 0;
  for (const [number, line] of lines) {
    const cells = cellsOf(line, number, separator);
    if (cells.length !== header.length) {
      const expected = `expected ${header.length}`;
      throw new DocumentError(`line ${number} has ${cells.length} cells, ${expected}`);
    }
    const row = Object.fromEntries(header.map((name, i) => [name, cells[i]]));
    const name = row.track ?? "";
    const track = tracks.get(name) ?? new Map();
    tracks.set(name, track);
    if (tracks.size > LIMITS.tracks) {
      const expected = `expected at most ${LIMITS.tracks}`;
      throw new DocumentError(`line ${number} begins another track, ${expected}`);
    }
    const frame = wholeFrame(row.frame ?? String(track.size), number);
    if (track.has(frame)) {
      throw new DocumentError(`line ${number}: frame ${frame} of track ${show(name)} occurs twice`);
    }
    track.set(frame, place(row, number));
    last = Math.max(last, frame);
  }
  return fromRuns([...tracks.values()].flatMap(visibleRuns), last + 1, canvas);
}

/**
 * The cells of a line; a comma may stand for the point where it does not part them.
 * @param {string} line
 * @param {number} number
 * @param {string} separator
 * @returns {string[]}
 */
function cellsOf(line, number, separator) {
  const cells = parted(line, number, separator);
  if (separator === ",") return cells;
  return cells.map((cell) => (COMMA.test(cell) ? cell.replace(",", ".") : cell));
}

/** @param {string} line @param {number} number @param {string} separator @returns {string[]} */
function parted(line, number, separator) {
  if (line.length > MAX_LINE) {
    throw new DocumentError(
      `line ${number} is not CSV: ${line.length} characters, expected ${MAX_LINE}`,
    );
  }
  if (!line.includes('"')) return line.split(separator).map(stripped);
  const cells = [];
  const mark = separator === "|" ? "\\|" : separator;
  const cell = new RegExp(`(?:"((?:[^"]|"")*)"|([^"${mark}][^${mark}]*|))(${mark}|$)`, "y");
  for (let more = true; more;) {
    const found = cell.exec(line);
    if (!found) throw new DocumentError(`line ${number} is not CSV: ${show(line)}`);
    cells.push(stripped(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"')));
    more = found[3] === separator;
  }
  return cells;
}

/** @param {string} text @param {number} number */
function wholeFrame(text, number) {
  if (!/^\d{1,8}$/.test(text) || Number(text) >= LIMITS.frames) {
    throw refuse(`line ${number}: frame`, text, `a whole number from 0 to ${LIMITS.frames - 1}`);
  }
  return Number(text);
}

/**
 * @param {Record<string, string>} row
 * @param {number} number
 * @returns {[number, number] | null} null where the row says that the track is not visible
 */
function place(row, number) {
  const visible = WORDS.get((row.visible ?? "1").toLowerCase());
  if (visible === undefined) throw refuse(`line ${number}: visible`, row.visible, "0 or 1");
  const [x, y] = ["x", "y"].map((axis) => {
    const value = NUMBER.test(row[axis]) ? Number(row[axis]) : NaN;
    if (!Number.isFinite(value)) {
      throw refuse(`line ${number}: ${axis}`, row[axis], "a finite number");
    }
    return value;
  });
  return visible ? [x, y] : null;
}

/** @param {Map<number, [number, number] | null>} track @returns {Run[]} */
function visibleRuns(track) {
  /** @type {Run[]} */
  const runs = [[]];
  for (const [frame, at] of [...track].sort(([a], [b]) => a - b)) {
    if (at) runs[runs.length - 1].push([frame, ...at]);
    else runs.push([]);
  }
  return runs.filter((run) => run.length);
}
