/**
 * Shapes shared by the editor's modules. Coordinates of a document are fractions of the frame
 * (origin top-left, y down); everything named `px` is in pixels of the document's width and height.
 *
 * `arrive` and `leave` are Bezier handles, away from the point; what only version 2 of the document
 * has is absent where it says nothing new.
 * @typedef {[number, number]} Pair
 * @typedef {{x: number, y: number, frame?: number, scale?: number, arrive?: Pair, leave?: Pair}} Point
 * @typedef {"linear" | "spline"} Curve
 * @typedef {"linear" | "in" | "out" | "in-out"} EasingName
 * @typedef {[number, number, number, number]} EasingCurve handles x1, y1, x2, y2 of a cubic Bezier
 * @typedef {EasingName | EasingCurve} Easing
 * @typedef {"absent" | "wait"} Outside
 * @typedef {{id: string, entity: string | null, curve: Curve, points: Point[],
 *   start: number, end: number, easing: Easing, name?: string, group?: string, before?: Outside, after?: Outside,
 *   hidden?: Pair[], tension?: number}} Track tracks of one `group` are moved as one
 * @typedef {{frame: number, x: number, y: number, zoom: number, roll: number}} CameraKey
 * @typedef {{keys: CameraKey[], easing: Easing}} Camera
 * @typedef {{id: string, name: string, color: string}} Entity
 * @typedef {{version: 1 | 2, width: number, height: number, frames: number, fps: number,
 *   entities: Entity[], tracks: Track[], camera?: Camera}} Doc
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
