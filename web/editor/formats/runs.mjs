/**
 * From the points of paths at their frames to a document.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {{width: number, height: number, frames: number}} Canvas in px, for formats that do not say
 *   (all but our own); `frames` for Tora's alone
 * @typedef {[number, number, number][]} Run a track's frame, x and y, in px
 * @typedef {{doc: Doc, own: boolean, lost: number}} Foreign whether it was a document of ours;
 *   how many points at the end of a Tora file do not fit the frames
 */
import { LIMITS, parse } from "../model/document.mjs";
import { list } from "../model/fields.mjs";
import { roundedLength } from "../model/frames.mjs";

/**
 * A document of free linear tracks with a key at every point.
 * @param {Run[]} runs
 * @param {number} frames rounded up to the next number that a document can have
 * @param {Canvas} canvas
 * @returns {Foreign}
 */
export function fromRuns(runs, frames, { width, height }) {
  list(runs, "tracks", 0, LIMITS.tracks);
  const tracks = runs.map((run, i) => ({
    id: `t${i + 1}`,
    curve: "linear",
    start: run[0][0],
    end: run[run.length - 1][0],
    points: run.map(([frame, x, y]) => ({ x: x / width, y: y / height, frame })),
  }));
  const doc = parse({
    version: 1,
    width,
    height,
    frames: roundedLength(frames),
    tracks,
  });
  return { doc, own: false, lost: 0 };
}
