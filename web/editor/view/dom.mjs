/**
 * Building elements. Text goes in as text nodes only, so that names from files are never markup.
 *
 * @typedef {import("../labels/icons.mjs").IconName} IconName
 * @typedef {Record<string, unknown>} Attributes properties, `on…` listeners, `aria-…`, `data-…`
 */
import { ICONS } from "../labels/icons.mjs";

/** The listeners that an element can be given. */
export const HANDLERS = /** @type {const} */ ([
  "onclick",
  "oninput",
  "onchange",
  "onfocus",
  "onkeydown",
  "onpointerdown",
  "ondblclick",
  "onsubmit",
]);

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes} [attributes]
 * @param {...(Node | string | null | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) {
      /** @type {any} */ (element)[name] = value;
    } else if (name === "class") {
      element.className = String(value);
    } else if (name in element && !name.startsWith("aria")) {
      /** @type {any} */ (element)[name] = value;
      // What an input shows when nobody types in it.
      if (name === "value" && tag === "input") element.setAttribute(name, String(value));
    } else {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...children.filter((child) => child !== null && child !== false));
  return element;
}

/** @type {Map<string, SVGElement>} */
const drawn = new Map();

/**
 * @param {IconName} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const known = drawn.get(name) ?? drawIcon(name);
  drawn.set(name, known);
  return /** @type {SVGElement} */ (known.cloneNode(true));
}

/**
 * @param {IconName} name
 * @returns {SVGElement}
 */
function drawIcon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "tora2-icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button with an icon and a name that is read out and shown as a tooltip.
 * @param {IconName} name
 * @param {string} label
 * @param {(event: MouseEvent) => void} onclick
 * @param {Attributes} [attributes]
 */
export function iconButton(name, label, onclick, attributes = {}) {
  return el(
    "button",
    {
      type: "button",
      class: "tora2-button",
      title: label,
      "aria-label": label,
      onclick,
      ...attributes,
    },
    icon(name),
  );
}

/**
 * @param {HTMLElement} button
 * @param {boolean} pressed
 */
export function setPressed(button, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
}
