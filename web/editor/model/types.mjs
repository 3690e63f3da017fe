/**
 * Shapes shared by the editor's modules. Coordinates of a document are fractions of the frame
 * (origin top-left, y down); everything named `px` is in pixels of the document's width and height.
 *
 * @typedef {{x: number, y: number, frame?: number}} Point
 * @typedef {"linear" | "spline"} Curve
 * @typedef {"linear" | "in" | "out" | "in-out"} Easing
 * @typedef {{id: string, entity: string | null, curve: Curve, points: Point[],
 *   start: number, end: number, easing: Easing}} Track
 * @typedef {{id: string, name: string, color: string}} Entity
 * @typedef {{version: 1, width: number, height: number, frames: number, fps: number,
 *   entities: Entity[], tracks: Track[]}} Doc
 *
 * The selection: which points of which tracks. A track is selected whole when all its points are.
 * @typedef {Map<string, Set<number>>} Selection
 *
 * Where the document lies on the canvas: css pixels = px * scale + offset.
 * @typedef {{scale: number, x: number, y: number}} Viewport
 *
 * Sizes that the graph sets.
 * @typedef {{width?: number, height?: number, frames?: number}} Forced
 *
 * @typedef {{x: number, y: number}} Vec
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box
 */
export {};
