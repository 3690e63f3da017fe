/**
 * The reader of paths that other programs write: a document at the file's own length, with a key at
 * every point. It is the same reader as `tora2.trajectory.formats`; tests/fixtures/foreign_paths.json
 * holds both to one rule.
 *
 * @typedef {import("./runs.mjs").Canvas} Canvas
 * @typedef {import("./runs.mjs").Foreign} Foreign
 */
import { LIMITS, parse } from "../model/document.mjs";
import { DocumentError, isObject } from "../model/fields.mjs";
import { isNpy, isNpz, readBare, readNpz } from "./npz.mjs";
import { fromPoints, parseJson } from "./points.mjs";
import { fromScene, isScene, sceneBehind } from "./splines.mjs";
import { fromStore, isStore } from "./stored.mjs";
import { fromSvg, isSvg } from "./svg.mjs";
import { fromTable, isTable } from "./table.mjs";
import { fromTora } from "./tora.mjs";
import { arraysIn, fromTracks } from "./tracks.mjs";

const MAX_FILE = 32 * 1024 * 1024;

/**
 * @param {ArrayBuffer} buffer a file's content: an .npz, or text in UTF-8 or UTF-16
 * @param {Canvas} canvas
 * @returns {Promise<Foreign>}
 * @throws {DocumentError}
 */
export async function readBytes(buffer, canvas) {
  checkSize(buffer.byteLength);
  if (isNpy(buffer)) return fromTracks(readBare(buffer), canvas);
  if (isNpz(buffer)) return fromTracks(await readNpz(buffer), canvas);
  return readText(sceneBehind(buffer) ?? decoded(buffer), canvas);
}

/**
 * @param {string} content
 * @param {Canvas} canvas
 * @returns {Foreign}
 * @throws {DocumentError}
 */
export function readText(content, canvas) {
  checkSize(content.length);
  const text = content.replace(/^\uFEFF/, "");
  if (/^[ \t\r\n]*[[{]/.test(text)) {
    const value = parseJson(text);
    if (Array.isArray(value)) return fromPoints(value, canvas);
    if (isObject(value) && "track_path" in value) {
      return fromTracks(arraysIn(value), canvas);
    }
    if (isScene(value)) return fromScene(value, canvas);
    if (isStore(value)) return fromStore(value, canvas);
    if (text.length > LIMITS.text) {
      throw new DocumentError(`${text.length} characters, expected at most ${LIMITS.text}`);
    }
    return { doc: parse(value), own: true, lost: 0 };
  }
  if (isSvg(text)) return fromSvg(text, canvas);
  return isTable(text) ? fromTable(text, canvas) : fromTora(text, canvas);
}

/** @param {number} size of a file, in bytes @throws {DocumentError} */
export function checkSize(size) {
  if (size > MAX_FILE) throw new DocumentError(`${size} bytes, expected at most ${MAX_FILE}`);
}

/** @param {ArrayBuffer} buffer */
function decoded(buffer) {
  const [first, second] = new Uint8Array(buffer, 0, Math.min(2, buffer.byteLength));
  const little = first === 0xff && second === 0xfe;
  const wide = little || (first === 0xfe && second === 0xff);
  const encoding = wide ? (little ? "utf-16le" : "utf-16be") : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(buffer);
  } catch (error) {
    throw new DocumentError(`this is not ${encoding.toUpperCase()} text`);
  }
}
