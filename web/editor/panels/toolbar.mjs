/**
 * The row of tools above the stage.
 *
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../model/store.mjs").Tool} Tool
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {{undo(): void, redo(): void, fit(): void, fullscreen(): void, layers(): void,
 *   menu(button: HTMLElement): void}} ToolbarActions
 */
import { toggleCurve } from "../controller/edits.mjs";
import { el, iconButton, setPressed } from "../view/dom.mjs";

/** @type {[Tool, string][]} */
const TOOLS = [
  ["select", "V"],
  ["points", "P"],
  ["freehand", "B"],
  ["anchor", "A"],
  ["hand", "H"],
];

/**
 * @param {Store} store
 * @param {Translate} t
 * @param {ToolbarActions} actions
 */
export function createToolbar(store, t, actions) {
  const named = (/** @type {string} */ key, /** @type {string} */ shortcut) =>
    `${t(key)} (${shortcut})`;
  const tools = TOOLS.map(([tool, key]) => ({
    tool,
    button: iconButton(
      /** @type {keyof typeof import("../labels/icons.mjs").ICONS} */ (tool),
      named(tool, key),
      () => store.set({ tool, drawing: null, cursor: null }),
      { "data-tool": tool },
    ),
  }));
  const curves = {
    spline: iconButton("spline", named("curve", "C"), () => toggleCurve(store)),
    linear: iconButton("linear", named("curve", "C"), () => toggleCurve(store)),
  };
  const snap = iconButton("snap", named("snap", "S"), () => store.set({ snap: !store.state.snap }));
  const grid = iconButton("grid", named("grid", "G"), () =>
    store.set({ grid: store.state.grid ? 0 : 12 }),
  );
  const undo = iconButton("undo", named("undo", "Ctrl+Z"), actions.undo, { "data-action": "undo" });
  const redo = iconButton("redo", named("redo", "Ctrl+Y"), actions.redo, { "data-action": "redo" });
  const more = iconButton("more", t("more"), () => actions.menu(more), {
    "aria-haspopup": "menu",
    "data-action": "menu",
  });
  const group = (/** @type {HTMLElement[]} */ ...buttons) =>
    el("div", { class: "tora2-group" }, ...buttons);
  const element = el(
    "div",
    { class: "tora2-toolbar", role: "toolbar", "aria-label": t("edit") },
    group(...tools.map(({ button }) => button)),
    group(curves.spline, curves.linear, snap, grid),
    group(undo, redo),
    el("div", { class: "tora2-spacer" }),
    group(
      iconButton("fit", named("fit", "0"), actions.fit),
      iconButton("layers", t("layers"), actions.layers),
      iconButton("fullscreen", named("fullscreen", "F"), actions.fullscreen, {
        "data-action": "fullscreen",
      }),
      more,
    ),
  );

  function update() {
    const { state } = store;
    for (const { tool, button } of tools) {
      setPressed(button, state.tool === tool);
      button.disabled = state.readOnly && tool !== "select" && tool !== "hand";
    }
    const chosen = state.doc.tracks.find((track) => state.selection.has(track.id));
    const curve = chosen?.curve ?? state.curve;
    curves.spline.hidden = curve !== "spline";
    curves.linear.hidden = curve !== "linear";
    setPressed(snap, state.snap);
    setPressed(grid, state.grid > 0);
  }
  return { element, update };
}
