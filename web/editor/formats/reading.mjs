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

const TRACK = ["id", "entity", "curve", "start", "end", "easing"].concat(NEWER_TRACK);
const POINT = ["x", "y", "frame"].concat(NEWER_POINT);

/**
 * A best effort at a document of a later version, for looking at only.
 * @param {unknown} content
 * @returns {Doc | null}
 */
function readNewer(content) {
  try {
    const known = pick(content, [
      "width",
      "height",
      "frames",
      "fps",
      "entities",
      "tracks",
      "camera",
    ]);
    return parse({
      ...known,
      version: VERSION,
      entities: asList(known.entities).map((e) => pick(e, ["id", "name", "color"])),
      tracks: asList(known.tracks).map((t) => ({
        ...pick(t, TRACK),
        points: asList(pick(t, ["points"]).points).map((p) => pick(p, POINT)),
      })),
    });
  } catch (error) {
    if (error instanceof DocumentError) return null;
    throw error;
  }
}
