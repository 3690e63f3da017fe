/**
 * The list of entities and their tracks.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../model/types.mjs").Entity} Entity
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {import("../labels/icons.mjs").IconName} IconName
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("../labels/strings.mjs").Word} Word
 */
import { chooseEntity, newEntity, toggleFlag } from "../controller/edits.mjs";
import { isName, LIMITS } from "../model/document.mjs";
import { colorsOf, moveEntity, moveTrack, removeEntity, updateEntity } from "../model/entities.mjs";
import { isVisible, layerKey } from "../model/layers.mjs";
import { tooFast } from "../model/sampling.mjs";
import { allPoints, isWhole, toggle } from "../model/selection.mjs";
import { removeTracks, titleOf, updateTracks } from "../model/tracks.mjs";
import { dragRow } from "./dragging.mjs";
import { el, iconButton, setPressed } from "../view/dom.mjs";
import { patchChildren } from "../view/patch.mjs";

/** What the list shows; it is rebuilt when one of these has changed. */
const SHOWN = /** @type {const} */ ([
  "doc",
  "selection",
  "entity",
  "hidden",
  "locked",
  "solo",
  "collapsed",
  "readOnly",
]);

/**
 * @param {Store} store
 * @param {Translate} t
 */
export function createLayers(store, t) {
  const list = el("div", { class: "tora2-layers", role: "list", "aria-label": t("layers") });
  const add = iconButton(
    "plus",
    t("newEntity"),
    () => {
      const id = newEntity(store, t("entityDefault", { n: store.state.doc.entities.length + 1 }));
      update();
      if (id !== null) nameIt(list, layerKey(id));
    },
    { "data-action": "new-entity" },
  );
  const actions = createActions(store, t);
  const element = el(
    "div",
    { class: "tora2-panel" },
    el(
      "div",
      { class: "tora2-heading" },
      el("span", { class: "tora2-title" }, t("layers")),
      ...actions.buttons,
      add,
    ),
    list,
  );

  /** @type {State | null} */
  let shown = null;
  function update() {
    const { state } = store;
    if (shown && SHOWN.every((key) => shown?.[key] === state[key])) return;
    if (shown && state.doc !== store.settled) return;
    const found = shown?.selection !== state.selection;
    shown = state;
    actions.update();
    add.disabled = state.readOnly;
    const rows = state.doc.entities.flatMap((entity) => layer(store, t, entity));
    const free = state.doc.tracks.some((track) => track.entity === null);
    if (free || !rows.length || state.entity === null) rows.push(...layer(store, t, null));
    patchChildren(list, rows);
    if (found) bringIntoView(list);
  }
  /** @param {string} id */
  function nameTrack(id) {
    update();
    const row = [...list.children].find((child) => child.getAttribute("data-track") === id);
    if (row instanceof HTMLElement) renameTrack(row);
  }
  return { element, update, nameTrack };
}

/** Scroll to a selected track that is out of sight; the page around the list stays. @param {HTMLElement} list */
function bringIntoView(list) {
  const rows = /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("[data-partly]"));
  if (!rows.length) return;
  const [first, last] = [rows[0], rows[rows.length - 1]];
  const top = list.scrollTop;
  const bottom = top + list.clientHeight;
  const from = first.offsetTop - list.offsetTop;
  const to = last.offsetTop + last.offsetHeight - list.offsetTop;
  if (to <= top || from >= bottom || (rows.length === 1 && (from < top || to > bottom))) {
    list.scrollTop = from < top ? from : Math.min(from, to - list.clientHeight);
  }
}

/** Begin to type the name of a layer. @param {HTMLElement} list @param {string} key */
function nameIt(list, key) {
  const rows = [.../** @type {HTMLCollectionOf<HTMLElement>} */ (list.children)];
  const name = rows.find((row) => row.dataset.key === key)?.querySelector("input.tora2-name");
  if (!(name instanceof HTMLInputElement)) return;
  name.focus();
  name.select();
}

/**
 * @param {Store} store
 * @param {Translate} t
 * @param {Entity | null} entity null for the free tracks
 */
function layer(store, t, entity) {
  const { state } = store;
  const tracks = state.doc.tracks.filter((track) => track.entity === (entity?.id ?? null));
  const key = layerKey(entity?.id ?? null);
  const solo = iconButton("solo", t("solo"), () =>
    store.set({ solo: store.state.solo === key ? null : key }),
  );
  setPressed(solo, state.solo === key);
  const gone = state.hidden.has(key) || (state.solo !== null && state.solo !== key);
  const header = el(
    "div",
    {
      class: gone ? "tora2-layer tora2-dim" : "tora2-layer",
      role: "listitem",
      "aria-label": entity?.name ?? t("freeTracks"),
      "data-key": key,
      "aria-current": String((entity?.id ?? null) === state.entity),
      title: t("newTracksHere"),
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.target instanceof Element && event.target.closest("input, button")) return;
        chooseEntity(store, entity?.id ?? null);
      },
      onpointerdown: (/** @type {PointerEvent} */ event) => {
        if (entity) dragRow(store, event, { track: null, entity: entity.id });
      },
    },
    foldButton(store, t, key, tracks.length),
    entity ? swatch(store, t, entity) : el("span", { class: "tora2-dot" }),
    entity ? nameField(store, t, entity) : el("span", { class: "tora2-name" }, t("freeTracks")),
    solo,
    ...flags(store, t, key),
  );
  if (state.collapsed.has(key)) return [header];
  return [header, ...tracks.map((track) => trackRow(store, t, track))];
}

/** Shows and folds away the tracks of a layer. @param {Store} store @param {Translate} t @param {string} key @param {number} count */
function foldButton(store, t, key, count) {
  const shut = store.state.collapsed.has(key);
  return iconButton(
    shut ? "shut" : "open",
    t(shut ? "unfold" : "fold"),
    () => toggleFlag(store, key, "collapsed"),
    {
      class: "tora2-button tora2-fold",
      "aria-expanded": String(!shut),
      "data-key": "fold",
      disabled: count === 0,
    },
  );
}

/** The name of a track, which can be typed over. @param {Store} store @param {Translate} t @param {Track} track */
function trackName(store, t, track) {
  return el("input", {
    class: "tora2-name tora2-track-name",
    type: "text",
    value: titleOf(track),
    maxLength: LIMITS.name,
    spellcheck: false,
    tabIndex: -1,
    disabled: store.state.readOnly,
    "aria-label": t("nameTrack"),
    onchange: (/** @type {Event} */ event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      const name = input.value.trim();
      const own = isName(name) && name !== track.id ? name : undefined;
      store.edit(updateTracks(store.state.doc, [track.id], { name: own }));
    },
  });
}

/** Begin to type a track's name. @param {HTMLElement} row */
function renameTrack(row) {
  const input = row.querySelector("input.tora2-track-name");
  if (!(input instanceof HTMLInputElement)) return;
  input.focus();
  input.select();
}

/** @param {Store} store @param {Translate} t @param {Track} track */
function trackRow(store, t, track) {
  const { state } = store;
  const n = track.points.length;
  const fast = tooFast(track, state.doc);
  const partly = state.selection.has(track.id);
  const choose = (/** @type {boolean} */ more) => {
    const whole = allPoints(track);
    const selection = more
      ? toggle(store.state.selection, track.id, whole)
      : new Map([[track.id, whole]]);
    store.set({ selection, entity: track.entity });
  };
  const row = el(
    "div",
    {
      class: isVisible(state, track) ? "tora2-track" : "tora2-track tora2-dim",
      role: "listitem",
      tabIndex: 0,
      "aria-label": t("announceTrack", {
        id: titleOf(track),
        n,
        start: track.start,
        end: track.end,
      }),
      "aria-current": String(isWhole(state.selection, track)),
      "data-key": `track:${track.id}`,
      "data-track": track.id,
      title: t("nameTrackHelp"),
      "data-partly": partly ? "" : null,
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.target instanceof Element && event.target.closest("button, input")) return;
        choose(event.shiftKey || event.ctrlKey || event.metaKey);
      },
      onpointerdown: (/** @type {PointerEvent} */ event) =>
        dragRow(store, event, { track: track.id }),
      ondblclick: (/** @type {MouseEvent} */ event) => {
        if (!(event.target instanceof Element && event.target.closest("button"))) {
          renameTrack(/** @type {HTMLElement} */ (event.currentTarget));
        }
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.target !== event.currentTarget) return;
        if (event.key === "F2") {
          event.stopPropagation();
          return renameTrack(/** @type {HTMLElement} */ (event.currentTarget));
        }
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        choose(event.shiftKey);
      },
    },
    el("span", { class: "tora2-dot", style: `background:${colorsOf(state.doc).get(track.id)}` }),
    trackName(store, t, track),
    fast &&
      el("span", { class: "tora2-fast", title: t("tooFast", { tracks: titleOf(track) }) }, "▲"),
    !partly &&
      el("span", { class: "tora2-note" }, n === 1 ? t("oneAnchor") : t("trackPoints", { n })),
    ...flags(store, t, track.id),
  );
  return row;
}

/**
 * Move up, move down, delete: a track when one is selected, else the entity.
 * @param {Store} store
 * @param {Translate} t
 */
function createActions(store, t) {
  const button = (
    /** @type {IconName} */ icon,
    /** @type {Word} */ label,
    /** @type {(doc: Doc, target: Target) => Doc} */ change,
  ) =>
    iconButton(icon, t(label), () => {
      const target = targetOf(store.state);
      if (target) store.edit(change(store.state.doc, target));
    });
  const move =
    (/** @type {number} */ step) => (/** @type {Doc} */ doc, /** @type {Target} */ to) =>
      to.track === null ? moveEntity(doc, to.entity, step) : moveTrack(doc, to.track, step);
  const trash = button("trash", "delete", (doc, to) =>
    to.track === null ? removeEntity(doc, to.entity) : removeTracks(doc, [to.track]),
  );
  const buttons = [button("up", "moveUp", move(-1)), button("down", "moveDown", move(1)), trash];
  function update() {
    const target = targetOf(store.state);
    for (const button of buttons) button.disabled = target === null || store.state.readOnly;
    trash.title = t(target?.track === null ? "deleteEntity" : "delete");
    trash.setAttribute("aria-label", trash.title);
  }
  return { buttons, update };
}

/** @typedef {{track: string} | {track: null, entity: string}} Target */

/** @param {State} state @returns {Target | null} */
function targetOf({ doc, selection, entity }) {
  const track = doc.tracks.find(({ id }) => selection.has(id));
  if (track) return { track: track.id };
  return entity === null ? null : { track: null, entity };
}

/** @type {Readonly<Record<"hidden" | "locked", Record<"on" | "off", {icon: IconName, label: Word}>>>} */
const FLAGS = Object.freeze({
  hidden: { on: { icon: "eyeOff", label: "show" }, off: { icon: "eye", label: "hide" } },
  locked: { on: { icon: "lock", label: "unlock" }, off: { icon: "unlock", label: "lock" } },
});

/** @param {Store} store @param {Translate} t @param {string} key */
function flags(store, t, key) {
  return /** @type {const} */ (["hidden", "locked"]).map((what) => {
    const on = store.state[what].has(key);
    const { icon, label } = FLAGS[what][on ? "on" : "off"];
    return iconButton(icon, t(label), () => toggleFlag(store, key, what), {
      class: `tora2-button tora2-flag${on ? " tora2-on" : ""}`,
    });
  });
}

/** @param {Store} store @param {Translate} t @param {Entity} entity */
function nameField(store, t, entity) {
  return el("input", {
    class: "tora2-name",
    type: "text",
    value: entity.name,
    maxLength: LIMITS.name,
    spellcheck: false,
    disabled: store.state.readOnly,
    "aria-label": t("entityName"),
    onfocus: () => chooseEntity(store, entity.id),
    onchange: (/** @type {Event} */ event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      const name = input.value.trim();
      if (!isName(name)) input.value = entity.name;
      else if (name !== entity.name) store.edit(updateEntity(store.state.doc, entity.id, { name }));
    },
  });
}

/** @param {Store} store @param {Translate} t @param {Entity} entity */
function swatch(store, t, entity) {
  const recolored = (/** @type {Event} */ event) =>
    updateEntity(store.state.doc, entity.id, {
      color: /** @type {HTMLInputElement} */ (event.target).value,
    });
  return el("input", {
    class: "tora2-swatch",
    type: "color",
    value: entity.color.toLowerCase(),
    disabled: store.state.readOnly,
    "aria-label": t("entityColor"),
    oninput: (/** @type {Event} */ event) => store.preview(recolored(event)),
    onchange: (/** @type {Event} */ event) => store.edit(recolored(event)),
  });
}
