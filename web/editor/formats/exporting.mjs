/**
 * Writing a document for other programs. Coordinates are the sampled ones, in px.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {{name: string, type: string, text: string}} File
 */
import { DocumentError } from "../model/fields.mjs";
import { TORA_CANVAS } from "./tora.mjs";
import { svgOf } from "./svg.mjs";
import { filmed } from "../model/camera.mjs";
import { visibleAt } from "../model/sampling.mjs";

/** @param {number} value */
function rounded(value) {
  return Math.round(value * 1000) / 1000 + 0;
}

/**
 * @param {Doc} doc
 * @returns {{x: number, y: number}[][]} a point a frame, track by track
 */
export function pointLists(doc) {
  return doc.tracks.map((track) => {
    const { x, y } = filmed(track, doc);
    return Array.from(x, (_, f) => ({ x: rounded(x[f]), y: rounded(y[f]) }));
  });
}

/** @param {Doc} doc @returns {File[]} */
function documentFile(doc) {
  return [
    { name: "trajectories.json", type: "application/json", text: JSON.stringify(doc, null, 1) },
  ];
}

/** @param {Doc} doc @returns {File[]} */
function pointsFile(doc) {
  const text = JSON.stringify(pointLists(doc));
  return [{ name: "points.json", type: "application/json", text }];
}

/** @param {Doc} doc @returns {File[]} the host's TRACKS: [T][N][2] and [T][N] */
function tracksFile(doc) {
  const lists = pointLists(doc);
  const frames = [...Array(doc.frames).keys()];
  const text = JSON.stringify({
    track_path: frames.map((f) => lists.map((points) => [points[f].x, points[f].y])),
    track_visibility: frames.map((f) => doc.tracks.map((track) => visibleAt(track, f))),
  });
  return [{ name: "tracks.json", type: "application/json", text }];
}

/** @param {Doc} doc @returns {File[]} */
function csvFile(doc) {
  const lists = pointLists(doc);
  const rows = doc.tracks.flatMap((track, n) =>
    lists[n].map(({ x, y }, f) => [track.id, f, x, y, visibleAt(track, f) ? 1 : 0].join(",")),
  );
  const text = ["track,frame,x,y,visible", ...rows, ""].join("\n");
  return [{ name: "trajectories.csv", type: "text/csv", text }];
}

/**
 * @param {Doc} doc
 * @returns {File[]}
 * @throws {DocumentError} where a path leaves the frame, which these files cannot say
 */
function toraFiles(doc) {
  return pointLists(doc).map((points, n) => {
    const { id } = doc.tracks[n];
    const outside = points.findIndex(
      ({ x, y }) => x < 0 || y < 0 || x > doc.width || y > doc.height,
    );
    if (outside >= 0) {
      throw new DocumentError(
        `${id} is off the frame at frame ${outside}, expected a path within it`,
      );
    }
    const place = (/** @type {number} */ value, /** @type {number} */ side) =>
      Math.min(TORA_CANVAS - 1, Math.round((value / side) * TORA_CANVAS));
    const lines = points.map(({ x, y }) => `${place(x, doc.width)},${place(y, doc.height)}\n`);
    return { name: `${id}.txt`, type: "text/plain", text: lines.join("") };
  });
}

/** @param {Doc} doc @returns {File[]} */
function svgFile(doc) {
  return [{ name: "paths.svg", type: "image/svg+xml", text: svgOf(doc) }];
}

/** @type {Readonly<Record<string, (doc: Doc) => File[]>>} by the name of its string */
export const EXPORTS = Object.freeze({
  exportDocument: documentFile,
  exportPoints: pointsFile,
  exportTracks: tracksFile,
  exportCsv: csvFile,
  exportTora: toraFiles,
  exportSvg: svgFile,
});
