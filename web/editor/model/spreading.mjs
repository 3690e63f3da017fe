/**
 * Places spread over a region of the frame: in a mask, a box or a circle, or outside all masks.
 *
 * @typedef {import("./types.mjs").Vec} Vec
 *
 * Which cells of the frame belong to a region, row by row.
 * @typedef {{columns: number, rows: number, inside: Uint8Array}} Cells
 */

/** Cells across the frame. */
export const COLUMNS = 96;

/**
 * @param {{width: number, height: number}} frame
 * @param {(place: Vec) => boolean} inside of fractions
 * @returns {Cells}
 */
export function cellsOf({ width, height }, inside) {
  const columns = COLUMNS;
  const rows = Math.max(1, Math.round((columns * height) / width));
  const result = new Uint8Array(columns * rows);
  for (let i = 0; i < result.length; i++) {
    result[i] = Number(inside(placeOf({ columns, rows }, i)));
  }
  return { columns, rows, inside: result };
}

/** The middle of a cell, in fractions. @param {{columns: number, rows: number}} cells @param {number} i @returns {Vec} */
function placeOf({ columns, rows }, i) {
  return { x: ((i % columns) + 0.5) / columns, y: (Math.floor(i / columns) + 0.5) / rows };
}

/** The cell of a place, or -1 off the frame. @param {Cells} cells @param {Vec} place */
export function cellAt({ columns, rows }, { x, y }) {
  if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return -1;
  return Math.floor(y * rows) * columns + Math.floor(x * columns);
}

/** @param {Cells} cells @returns {Cells} */
export function inverted(cells) {
  return { ...cells, inside: cells.inside.map((value) => 1 - value) };
}

/**
 * The part of a region that hangs together with a place.
 * @param {Cells} cells
 * @param {Vec} place
 * @returns {Cells | null} null where the place is outside
 */
export function connected(cells, place) {
  const { columns, inside } = cells;
  const start = cellAt(cells, place);
  if (start < 0 || !inside[start]) return null;
  const result = new Uint8Array(inside.length);
  const queue = [start];
  result[start] = 1;
  for (let cell = queue.pop(); cell !== undefined; cell = queue.pop()) {
    const column = cell % columns;
    const beside = [cell - columns, cell + columns];
    if (column > 0) beside.push(cell - 1);
    if (column < columns - 1) beside.push(cell + 1);
    for (const next of beside) {
      if (!inside[next] || result[next]) continue;
      result[next] = 1;
      queue.push(next);
    }
  }
  return { ...cells, inside: result };
}

/**
 * The separate parts of a region, largest first; specks are left out.
 * @param {Cells} cells
 * @returns {Cells[]}
 */
export function parts(cells) {
  const rest = cells.inside.slice();
  const result = [];
  for (let i = 0; i < rest.length; i++) {
    if (!rest[i]) continue;
    const part = connected({ ...cells, inside: rest }, placeOf(cells, i));
    if (!part) continue;
    part.inside.forEach((value, j) => value && (rest[j] = 0));
    if (sizeOf(part) > 3) result.push(part);
  }
  return result.sort((a, b) => sizeOf(b) - sizeOf(a));
}

/** @param {Cells} cells */
function sizeOf({ inside }) {
  return inside.reduce((sum, value) => sum + value, 0);
}

/**
 * The middle of a region: the place within it nearest to its centre of mass.
 * @param {Cells} cells
 * @returns {Vec | null}
 */
export function middleOf(cells) {
  const places = placesIn(cells);
  if (!places.length) return null;
  const x = places.reduce((sum, p) => sum + p.x, 0) / places.length;
  const y = places.reduce((sum, p) => sum + p.y, 0) / places.length;
  return places.reduce((best, p) =>
    Math.hypot(p.x - x, p.y - y) < Math.hypot(best.x - x, best.y - y) ? p : best,
  );
}

/** @param {Cells} cells @returns {Vec[]} */
function placesIn(cells) {
  const result = [];
  for (let i = 0; i < cells.inside.length; i++) if (cells.inside[i]) result.push(placeOf(cells, i));
  return result;
}

/**
 * N places of a region, as far from one another as they can be: each next one is the farthest from
 * those before it (Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985),
 * and from the region's edge half as much.
 * @param {Cells} cells
 * @param {number} count
 * @param {Vec[]} [taken] places that are there already
 * @returns {Vec[]} fractions; fewer where the region has fewer cells
 */
export function spread(cells, count, taken = []) {
  const { columns, rows, inside } = cells;
  const ratio = rows / columns;
  const rest = placesIn(cells);
  const gap = (/** @type {Vec} */ a, /** @type {Vec} */ b) =>
    Math.hypot(a.x - b.x, (a.y - b.y) * ratio);
  const margin = rest.map((place) => marginOf(inside, columns, rows, place) / columns);
  const near = rest.map((place) => Math.min(2, ...taken.map((other) => gap(place, other))));
  /** @type {Vec[]} */
  const result = [];
  const first = taken.length ? null : middleOf(cells);
  while (result.length < Math.min(count, rest.length)) {
    let best = 0;
    if (result.length === 0 && first) best = rest.indexOf(first);
    if (result.length === 0 && first && best < 0) {
      best = rest.findIndex(({ x, y }) => x === first.x && y === first.y);
    } else if (result.length || !first) {
      const worth = (/** @type {number} */ i) => Math.min(near[i], 4 * margin[i]);
      for (let i = 1; i < rest.length; i++) if (worth(i) > worth(best)) best = i;
      if (near[best] <= 0) break;
    }
    const place = rest[best];
    result.push(place);
    rest.forEach((other, i) => (near[i] = Math.min(near[i], gap(other, place))));
  }
  return result;
}

const REACH = 3;

/** How many cells (at most REACH) a place is from the edge. @param {Uint8Array} inside @param {number} columns @param {number} rows @param {Vec} place */
function marginOf(inside, columns, rows, { x, y }) {
  const column = Math.floor(x * columns);
  const row = Math.floor(y * rows);
  for (let r = 1; r <= REACH; r++) {
    for (const [dx, dy] of [
      [r, 0],
      [-r, 0],
      [0, r],
      [0, -r],
    ]) {
      const [c, l] = [column + dx, row + dy];
      if (c < 0 || l < 0 || c >= columns || l >= rows || !inside[l * columns + c]) return r;
    }
  }
  return 2 * columns; // far within, where only the others count
}
