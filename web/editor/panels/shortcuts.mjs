/**
 * The panel that lists every key.
 *
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 */
import { KEYS } from "../controller/keyboard.mjs";
import { el, iconButton } from "../view/dom.mjs";

/** @param {Translate} t */
export function createShortcuts(t) {
  const element = el("div", {
    class: "tora2-sheet",
    tabIndex: -1,
    role: "dialog",
    "aria-label": t("shortcuts"),
    hidden: true,
  });
  function close() {
    const was = !element.hidden;
    element.hidden = true;
    return was;
  }
  function fill() {
    element.append(
      el(
        "div",
        { class: "tora2-heading" },
        el("span", {}, t("shortcuts")),
        iconButton("close", t("close"), close),
      ),
      el(
        "dl",
        { class: "tora2-keys" },
        ...KEYS.map(({ keys, label }) =>
          el(
            "div",
            {},
            el("dt", {}, ...keysShown(keys).map((key) => el("kbd", {}, key))),
            el("dd", {}, t(label)),
          ),
        ),
      ),
    );
  }
  function toggle() {
    if (!element.childElementCount) fill();
    element.hidden = !element.hidden;
    if (!element.hidden) element.focus({ preventScroll: true }); // so that the arrows scroll it
  }
  return { element, toggle, close };
}

/** @param {readonly string[]} keys */
function keysShown(keys) {
  /** @type {Record<string, string>} */
  const arrows = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
  const shown = keys.map((key) => key.replace(/Arrow\w+/, (a) => arrows[a]));
  return shown.length > 4 ? shown.filter((key) => !key.startsWith("Shift")) : shown;
}
