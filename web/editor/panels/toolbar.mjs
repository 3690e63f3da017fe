/**
 * The row of tools above the stage.
 *
 * @typedef {import("../controller/commands.mjs").Actions} Actions
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 */
import { el, iconButton } from "../view/dom.mjs";
import { createButtons } from "./buttons.mjs";

const TOOLS = /** @type {const} */ (["select", "points", "freehand", "anchor", "spread", "hand"]);

/**
 * Its buttons are made by the first update: they are most of an editor's elements, and a graph that
 * opens many editors shows their stages sooner without.
 * @param {Actions} actions
 * @param {Translate} t
 * @param {(button: HTMLElement) => void} toggleMenu
 * @param {() => void} toggleCamera
 */
export function createToolbar(actions, t, toggleMenu, toggleCamera) {
  const { button, update } = createButtons(actions, t);
  const element = el("div", {
    class: "tora2-toolbar",
    role: "toolbar",
    "aria-label": t("edit"),
  });

  function fill() {
    const more = iconButton("more", t("more"), () => toggleMenu(more), {
      "aria-haspopup": "menu",
      "data-action": "menu",
    });
    const camera = iconButton("camera", t("camera"), toggleCamera, { "data-action": "camera" });
    const group = (/** @type {HTMLElement[]} */ ...buttons) =>
      el("div", { class: "tora2-group" }, ...buttons);
    element.append(
      group(...TOOLS.map((tool) => button(tool, { "data-tool": tool }))),
      group(button("curve"), button("snap"), button("grid")),
      group(button("sizes"), camera),
      group(button("undo"), button("redo")),
      el("div", { class: "tora2-spacer" }),
      group(button("fit"), button("layers"), button("fullscreen"), more),
    );
  }

  return {
    element,
    update() {
      if (!element.firstChild) fill();
      update();
    },
  };
}
