/**
 * Lines on a binding node: which word was found where, and what is wrong with the wiring.
 *
 * @typedef {import("./checking.mjs").Say} Say
 */
import { check } from "./checking.mjs";
import { bindingOf } from "./wiring.mjs";

const LINE_PX = 17;
const ROOM_PX = 30;
const CHARACTERS = 40;

/**
 * @param {any} node
 * @param {Say} say
 * @param {(node: any) => void} makeRoom
 * @returns {{update: () => void, node: any}}
 */
export function createNotice(node, say, makeRoom) {
  const element = document.createElement("div");
  element.className = "tora2-words";
  let shown = "";
  let rows = 0;
  const widget = node.addDOMWidget("tora2_words", "TORA2_WORDS", element, {
    serialize: false,
    getMinHeight: () => (rows ? rows * LINE_PX + ROOM_PX : 0),
    getMaxHeight: () => (rows ? rows * LINE_PX + ROOM_PX : 0),
    getValue: () => "",
    setValue: () => {},
    socketless: true,
    hideInPanel: true,
    hideOnZoom: true,
  });
  widget.serialize = false;

  function update() {
    if (!node.graph) return;
    const lines = check(bindingOf(node), say);
    const text = JSON.stringify(lines);
    if (text === shown) return;
    shown = text;
    rows = lines.reduce((sum, line) => sum + Math.ceil((line.text.length + 2) / CHARACTERS), 0);
    element.replaceChildren(
      ...lines.map(({ warning, text: words }) => {
        const line = document.createElement("div");
        line.className = warning ? "tora2-words-warning" : "tora2-words-found";
        line.textContent = `${warning ? "⚠" : "✓"} ${words}`;
        return line;
      }),
    );
    element.setAttribute("role", lines.some((line) => line.warning) ? "alert" : "status");
    makeRoom(node);
  }
  return { update, node };
}
