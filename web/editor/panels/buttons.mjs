/**
 * Buttons of commands: they say what the command is called and its key, and show its state.
 *
 * @typedef {import("../controller/commands.mjs").Actions} Actions
 * @typedef {import("../controller/commands.mjs").CommandId} CommandId
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("../view/dom.mjs").Attributes} Attributes
 */
import { COMMANDS, isEnabled, perform } from "../controller/commands.mjs";
import { icon, iconButton, setPressed } from "../view/dom.mjs";

/**
 * @param {Actions} actions
 * @param {Translate} t
 */
export function createButtons(actions, t) {
  /** @type {(() => void)[]} */
  const updates = [];

  /** @param {CommandId} id @param {Attributes} [attributes] */
  function button(id, attributes = { "data-action": id }) {
    const { keys = [], pressed } = COMMANDS[id];
    let shown = lookOf(id, actions.store.state);
    const title = () => (keys.length ? `${t(shown.label)} (${keys[0]})` : t(shown.label));
    const element = iconButton(shown.icon, title(), () => perform(id, actions), attributes);
    updates.push(() => {
      const { state } = actions.store;
      const look = lookOf(id, state);
      if (look.icon !== shown.icon) {
        shown = look;
        element.replaceChildren(icon(look.icon));
        element.title = title();
        element.setAttribute("aria-label", title());
      }
      if (pressed) setPressed(element, pressed(state));
      element.disabled = !isEnabled(id, state);
    });
    return element;
  }

  function update() {
    for (const show of updates) show();
  }
  return { button, update };
}

/** @param {CommandId} id @param {import("../model/store.mjs").State} state */
function lookOf(id, state) {
  const { icon: drawn = "more", label } = COMMANDS[id];
  return {
    icon: typeof drawn === "function" ? drawn(state) : drawn,
    label: label?.(state) ?? id,
  };
}
