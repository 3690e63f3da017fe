/**
 * Sections of a menu: a title, and what can be done.
 *
 * @typedef {import("../controller/commands.mjs").Actions} Actions
 * @typedef {import("../controller/commands.mjs").CommandId} CommandId
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * `chosen`: whether it is the one that is in force, of several that exclude each other
 * @typedef {{label: string, run: () => void, disabled?: boolean, key?: string, chosen?: boolean}} Item
 * `inline`: the items stand beside one another
 * @typedef {{title: string, items: Item[], inline?: boolean}} Section
 */
import { COMMANDS, isEnabled, perform } from "../controller/commands.mjs";
import { el } from "../view/dom.mjs";

/** @param {Section} section @param {() => void} close */
export function sectionElement({ title, items, inline }, close) {
  return el(
    "div",
    { role: "group", "aria-label": title },
    el("div", { class: "tora2-menu-title" }, title),
    el(
      "div",
      { class: inline ? "tora2-inline" : null },
      ...items.map(({ label, run, disabled, key, chosen }) =>
        el(
          "button",
          {
            type: "button",
            role: chosen === undefined ? "menuitem" : "menuitemradio",
            "aria-checked": chosen === undefined ? null : String(chosen),
            class: "tora2-item",
            disabled,
            onclick: () => {
              close();
              run();
            },
          },
          el("span", {}, label),
          key ? el("kbd", {}, key) : null,
        ),
      ),
    ),
  );
}

/** @param {Actions & {t: Translate}} editor @param {CommandId} id @returns {Item} */
export function commandItem(editor, id) {
  const { keys, pressed } = COMMANDS[id];
  return {
    label: editor.t(id),
    key: keys?.[0],
    disabled: !isEnabled(id, editor.store.state),
    run: () => perform(id, editor),
    ...(pressed && { chosen: pressed(editor.store.state) }),
  };
}

/** The arrows go from item to item. @param {HTMLElement} element @param {KeyboardEvent} event */
export function stepThrough(element, event) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const buttons = [...element.querySelectorAll("button:enabled")];
  const at = buttons.indexOf(/** @type {Element} */ (document.activeElement));
  const step = event.key === "ArrowDown" ? 1 : buttons.length - 1;
  /** @type {HTMLElement | undefined} */ (buttons[(at + step) % buttons.length])?.focus();
  event.preventDefault();
  event.stopPropagation();
}
