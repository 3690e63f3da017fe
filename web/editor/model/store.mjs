/**
 * The state of one editor: the document, and everything that is not part of it.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Track} Track
 * @typedef {import("./types.mjs").Selection} Selection
 * @typedef {import("./types.mjs").Viewport} Viewport
 * @typedef {import("./types.mjs").Vec} Vec
 * @typedef {import("./types.mjs").Box} Box
 * @typedef {"select" | "points" | "freehand" | "anchor" | "spread" | "hand"} Tool
 *
 * @typedef {{track: string, point: number | null, at: Vec, frame: number}} Hover `at` in px
 * @typedef {{x: number | null, y: number | null}} Guides snapped-to lines, in px
 *
 * @typedef {{
 *   doc: Doc,
 *   selection: Selection,
 *   entity: string | null,
 *   tool: Tool,
 *   drawing: string | null,
 *   stroke: Vec[] | null,
 *   cursor: Vec | null,
 *   marquee: Box | null,
 *   hover: Hover | null,
 *   guides: Guides | null,
 *   frame: number,
 *   playing: boolean,
 *   loop: boolean,
 *   viewport: Viewport | null,
 *   hidden: ReadonlySet<string>,
 *   locked: ReadonlySet<string>,
 *   solo: string | null,
 *   grid: number,
 *   snap: boolean,
 *   curve: import("./types.mjs").Curve,
 *   collapsed: ReadonlySet<string>,
 *   sizes: boolean,
 *   speeds: boolean,
 *   heights: ReadonlyMap<string, import("./sizes.mjs").Heights>,
 *   spread: number,
 *   readOnly: boolean,
 *   message: string | null,
 * }} State
 *   `entity`: owner of new tracks; `drawing`: the track that the points tool extends; `stroke` and
 *   `cursor` in px, `marquee` in fractions; `viewport` null fits the frame; `hidden`, `locked` and
 *   `solo` hold layer keys (layers.mjs), and so does `collapsed`; `grid`: cells across the width, 0
 *   without; `sizes` and `speeds` are shown along the paths; `heights` of
 *   entities and free tracks, by id, as the graph's cut-outs give them; `spread`: how many points the
 *   spread tool sets
 */
import { emptyDocument, versioned } from "./document.mjs";
import { grouped } from "./groups.mjs";
import { NOTHING, surviving } from "./selection.mjs";

/** @returns {State} */
function initialState() {
  return {
    doc: emptyDocument(),
    selection: NOTHING,
    entity: null,
    tool: "points",
    drawing: null,
    stroke: null,
    cursor: null,
    marquee: null,
    hover: null,
    guides: null,
    frame: 0,
    playing: false,
    loop: true,
    viewport: null,
    hidden: new Set(),
    locked: new Set(),
    solo: null,
    grid: 0,
    snap: true,
    curve: "spline",
    collapsed: new Set(),
    sizes: false,
    speeds: false,
    heights: new Map(),
    spread: 5,
    readOnly: false,
    message: null,
  };
}

export class Store {
  /**
   * @param {(doc: Doc, brief: boolean) => void} commit called with every finished edit; one that is
   *   `brief` makes one step of the history with those that soon follow it
   */
  constructor(commit) {
    this.commit = commit;
    this.state = initialState();
    /** The document as last committed or loaded; `state.doc` runs ahead of it during a drag. */
    this.settled = this.state.doc;
    /** @type {Set<(state: State, before: State) => void>} */
    this.listeners = new Set();
  }

  /** @param {(state: State, before: State) => void} listener */
  subscribe(listener) {
    this.listeners.add(listener);
  }

  /** @param {Partial<State>} patch */
  set(patch) {
    const before = this.state;
    const { selection, doc = before.doc } = patch;
    if (selection) patch = { ...patch, selection: grouped(doc, selection) };
    this.state = { ...before, ...patch };
    for (const listener of this.listeners) listener(this.state, before);
  }

  /**
   * Show a document that comes from outside: loaded, undone, or of another size.
   * @param {Doc} doc
   * @param {Partial<State>} [patch]
   */
  load(doc, patch = {}) {
    const { selection, entity, drawing, frame } = this.state;
    this.settled = doc;
    this.set({
      doc,
      selection: surviving(selection, doc),
      entity: doc.entities.some((e) => e.id === entity) ? entity : (doc.entities[0]?.id ?? null),
      drawing: doc.tracks.some((t) => t.id === drawing) ? drawing : null,
      frame: Math.min(frame, doc.frames - 1),
      hover: null,
      ...patch,
    });
  }

  /**
   * Show an edit that is still going on.
   * @param {Doc} doc
   * @param {Partial<State>} [patch]
   */
  preview(doc, patch = {}) {
    if (!this.state.readOnly) this.set({ doc, ...patch });
  }

  /**
   * Finish an edit; without a document, the one that is shown.
   * @param {Doc} [doc]
   * @param {Partial<State>} [patch]
   * @param {boolean} [brief]
   */
  edit(doc = this.state.doc, patch = {}, brief = false) {
    if (this.state.readOnly) return;
    const changed = doc !== this.settled;
    if (changed) doc = versioned(doc);
    this.settled = doc;
    this.set({
      doc,
      selection: surviving(patch.selection ?? this.state.selection, doc),
      ...rest(patch),
    });
    if (changed) this.commit(doc, brief);
  }

  /** Give up an edit that is going on. */
  revert() {
    if (this.state.doc !== this.settled) this.load(this.settled);
  }
}

/** @param {Partial<State>} patch */
function rest(patch) {
  const { selection, ...others } = patch;
  return others;
}
