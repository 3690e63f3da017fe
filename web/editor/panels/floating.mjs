/**
 * A panel that lies over the stage until it is closed.
 *
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 */
import { el, iconButton } from "../view/dom.mjs";

/**
 * @param {string} title
 * @param {Translate} t
 * @param {(open: boolean) => void} changed
 * @param {...HTMLElement} content
 */
export function createFloating(title, t, changed, ...content) {
  const element = el(
    "div",
    { class: "tora2-floating", role: "dialog", "aria-label": title, hidden: true },
    el(
      "div",
      { class: "tora2-heading" },
      el("span", { class: "tora2-title" }, title),
      iconButton("close", t("close"), () => close()),
    ),
    ...content,
  );
  function close() {
    const was = !element.hidden;
    element.hidden = true;
    if (was) changed(false);
    return was;
  }
  function toggle() {
    if (close()) return;
    element.hidden = false;
    changed(true);
  }
  return { element, close, toggle };
}

/**
 * A number with its name.
 * @param {string} label
 * @param {(value: number) => void} change
 * @param {import("../view/dom.mjs").Attributes} attributes
 */
export function numberField(label, change, attributes) {
  const input = el("input", {
    class: "tora2-input tora2-number",
    type: "number",
    step: "any",
    "aria-label": label,
    onchange: () => {
      const value = Number(input.value);
      if (input.value !== "" && Number.isFinite(value)) change(value);
    },
    ...attributes,
  });
  return { input, element: el("label", { class: "tora2-field" }, el("span", {}, label), input) };
}
