/**
 * Dragging a row of the list to another place: an entity among entities, a track among all tracks.
 *
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {{track: string} | {track: null, entity: string}} Dragged
 */
import { layerKey } from "../model/layers.mjs";
import { placeEntity, placeTrack } from "../model/entities.mjs";

/** A pointer that moved less than this (css of the page) has clicked. */
const CLICK = 5;

/**
 * @param {Store} store
 * @param {PointerEvent} start
 * @param {Dragged} what
 */
export function dragRow(store, start, what) {
  const row = /** @type {HTMLElement} */ (start.currentTarget);
  const list = row.parentElement;
  const taken = start.target instanceof Element && start.target.closest("input, button");
  if (start.button !== 0 || taken || !list || store.state.readOnly) return;
  /** @type {{row: HTMLElement, after: boolean} | null} */
  let goal = null;
  let moved = false;

  const mark = () => {
    for (const child of list.children) child.classList.remove("tora2-above", "tora2-below");
    goal?.row.classList.add(goal.after ? "tora2-below" : "tora2-above");
  };
  const move = (/** @type {PointerEvent} */ event) => {
    if (
      !moved &&
      Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) < CLICK
    ) {
      return;
    }
    if (!moved && start.isTrusted) row.setPointerCapture(start.pointerId);
    moved = true;
    goal = goalAt(list, event.clientY, what);
    mark();
  };
  const end = (/** @type {PointerEvent} */ event) => {
    for (const [type, listener] of /** @type {const} */ ([
      ["pointermove", move],
      ["pointerup", end],
      ["pointercancel", end],
    ])) {
      removeEventListener(type, listener, true);
    }
    const to = event.type === "pointerup" ? goal : null;
    goal = null;
    mark();
    if (moved && to) drop(store, what, to.row, to.after);
  };
  addEventListener("pointermove", move, true);
  addEventListener("pointerup", end, true);
  addEventListener("pointercancel", end, true);
}

/** @param {HTMLElement} list @param {number} y of the page @param {Dragged} what */
function goalAt(list, y, what) {
  const rows = /** @type {HTMLElement[]} */ ([...list.children]);
  const headers = rows.filter((row) => row.dataset.key?.startsWith("entity:"));
  for (const row of what.track === null ? headers : rows) {
    const { top, bottom } = row.getBoundingClientRect();
    const last = what.track === null && row === headers[headers.length - 1];
    if (y < bottom || last) {
      const header = row.dataset.track === undefined && what.track !== null;
      return { row, after: header || y > (top + bottom) / 2 };
    }
  }
  const row = rows[rows.length - 1];
  return row && what.track !== null ? { row, after: true } : null;
}

/** @param {Store} store @param {Dragged} what @param {HTMLElement} row @param {boolean} after */
function drop(store, what, row, after) {
  const { doc } = store.state;
  if (what.track === null) {
    const other = doc.entities.find(({ id }) => layerKey(id) === row.dataset.key);
    if (other) store.edit(placeEntity(doc, what.entity, other.id, after));
    return;
  }
  const beside = doc.tracks.find(({ id }) => id === row.dataset.track);
  const owner = doc.entities.find(({ id }) => layerKey(id) === row.dataset.key)?.id ?? null;
  store.edit(
    placeTrack(doc, what.track, beside ? beside.entity : owner, beside?.id ?? null, after),
  );
}
