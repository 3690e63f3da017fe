/**
 * Ready-made tracks.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Point} Point
 * @typedef {Partial<Track> & {points: Point[]}} Draft
 */
import { positionAt } from "./sampling.mjs";

const FOLLOW_OFFSET = 0.08;

/**
 * Points of a closed or open figure about the middle of the frame, round in px.
 * @param {Doc} doc
 * @param {number} steps
 * @param {(u: number) => [number, number]} place u in [0, 1] to units of a quarter of the shorter side
 * @returns {Point[]}
 */
function figure(doc, steps, place) {
  const unit = Math.min(doc.width, doc.height) / 4;
  return Array.from({ length: steps + 1 }, (_, i) => {
    const [x, y] = place(i / steps);
    return { x: 0.5 + (x * unit) / doc.width, y: 0.5 + (y * unit) / doc.height };
  });
}

/** @param {Doc} doc @returns {Draft} */
function circle(doc) {
  const points = figure(doc, 8, (u) => [Math.cos(2 * Math.PI * u), Math.sin(2 * Math.PI * u)]);
  return { points };
}

/** @param {Doc} doc @returns {Draft} */
function eight(doc) {
  const points = figure(doc, 16, (u) => [
    1.6 * Math.sin(2 * Math.PI * u),
    Math.sin(4 * Math.PI * u) * 0.8,
  ]);
  return { points };
}

/** @param {Doc} doc @returns {Draft} */
function zigzag(doc) {
  const points = figure(doc, 6, (u) => [-2 + 4 * u, Math.round(u * 6) % 2 ? -0.8 : 0.8]);
  return { points, curve: "linear" };
}

/** @param {Doc} doc @param {Track} leader @returns {Draft} */
function orbit(doc, leader) {
  const radius = Math.min(doc.width, doc.height) / 7;
  const span = leader.end - leader.start;
  const steps = Math.max(1, Math.min(24, span));
  const points = Array.from({ length: steps + 1 }, (_, i) => {
    const frame = leader.start + Math.round((i * span) / steps);
    const angle = (4 * Math.PI * (frame - leader.start)) / Math.max(1, span);
    const at = positionAt(leader, doc, frame);
    return {
      x: (at.x + radius * Math.cos(angle)) / doc.width,
      y: (at.y + radius * Math.sin(angle)) / doc.height,
      frame,
    };
  });
  return { points, start: leader.start, end: leader.end };
}

/** @param {Doc} _ @param {Track} leader @returns {Draft} */
function follow(_, leader) {
  const points = leader.points.map((p) => ({ ...p, x: p.x + FOLLOW_OFFSET }));
  const { id, entity, name, ...rest } = leader;
  return { ...rest, points };
}

/**
 * Figures stand alone; companions need a track to go by.
 * @type {Readonly<{figures: Record<string, (doc: Doc) => Draft>,
 *   companions: Record<string, (doc: Doc, leader: Track) => Draft>}>}
 */
export const TEMPLATES = Object.freeze({
  figures: { circle, eight, zigzag },
  companions: { orbit, follow },
});
