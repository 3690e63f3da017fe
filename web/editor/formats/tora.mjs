/**
 * Tora's text files, as `tora2.trajectory.tora` reads them.
 *
 * @typedef {import("./runs.mjs").Canvas} Canvas
 * @typedef {import("./runs.mjs").Foreign} Foreign
 */
import { parse } from "../model/document.mjs";
import { DocumentError, refuse } from "../model/fields.mjs";
import { linesOf } from "./lines.mjs";

/** The files live on a canvas of 256 x 256 and know only its pixels. */
export const TORA_CANVAS = 256;

/**
 * One of Tora's files: a line `x,y` each, whole numbers on a canvas of 256 x 256.
 * @param {string} text
 * @param {Canvas} canvas
 * @returns {Foreign}
 */
export function fromTora(text, { width, height, frames }) {
  /** @type {{x: number, y: number}[]} */
  const points = [];
  for (const [number, line] of linesOf(text)) {
    const pair = /^(\d+)[ \t]*,[ \t]*(\d+)$/.exec(line);
    if (!pair) throw refuse(`line ${number}`, line, "x,y in whole numbers from 0 to 255");
    const [x, y] = pair.slice(1).map((part) => (part.length < 9 ? Number(part) : TORA_CANVAS));
    if (x >= TORA_CANVAS || y >= TORA_CANVAS) {
      throw refuse(`line ${number}`, line, `whole numbers from 0 to ${TORA_CANVAS - 1}`);
    }
    points.push({ x: x / TORA_CANVAS, y: y / TORA_CANVAS });
  }
  if (points.length < 2) {
    throw new DocumentError(`${points.length} points, expected at least 2 lines of x,y`);
  }
  const { kept, at } = schedule(points.length, frames);
  const track = {
    id: "t1",
    curve: "linear",
    points: kept.map((index, i) => ({ ...points[index], frame: at[i] })),
  };
  const doc = parse({ version: 1, width, height, frames, tracks: [track] });
  return { doc, own: false, lost: points.length - 1 - kept[kept.length - 1] };
}

/**
 * Which of `count` points Tora keeps, and at which frame each is passed: more points than frames are
 * thinned by the whole stride and cut, so the tail of such a path is lost; fewer are spread evenly,
 * the first segments one frame longer where the division leaves a rest.
 * @param {number} count
 * @param {number} frames
 */
function schedule(count, frames) {
  if (frames < 2) throw refuse("frames", frames, "at least 2");
  const indices = (/** @type {number} */ n) => Array.from({ length: n }, (_, i) => i);
  if (count > frames) {
    const stride = Math.floor(count / frames);
    return { kept: indices(frames).map((i) => i * stride), at: indices(frames) };
  }
  const share = Math.floor((frames - count) / (count - 1));
  const rest = (frames - count) % (count - 1);
  return {
    kept: indices(count),
    at: indices(count).map((i) => i * (share + 1) + Math.min(i, rest)),
  };
}
