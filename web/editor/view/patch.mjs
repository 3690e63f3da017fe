/**
 * Shows a new list of elements by changing those that are there. An element that still stands for
 * the same thing stays the same element, so a press that has begun on it ends on it, and what is
 * being typed into it is not lost.
 */
import { HANDLERS } from "./dom.mjs";

/**
 * @param {Element} parent
 * @param {Node[]} fresh its children, from now on
 */
export function patchChildren(parent, fresh) {
  const names = namesOf(fresh);
  const wanted = new Set(names);
  const children = [...parent.childNodes];
  const known = new Map(namesOf(children).map((name, i) => [name, children[i]]));
  for (const [name, child] of known) if (!wanted.has(name)) child.remove();
  let next = parent.firstChild;
  fresh.forEach((child, i) => {
    const old = known.get(names[i]);
    if (old) patch(old, child);
    const shown = old ?? child;
    if (shown === next) next = next.nextSibling;
    else parent.insertBefore(shown, next);
  });
}

/**
 * What each child stands for: its kind and key, and which of several it is.
 * @param {Node[]} children
 */
function namesOf(children) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  return children.map((child) => {
    const key = child instanceof HTMLElement ? (child.dataset.key ?? "") : "";
    const name = `${child.nodeName} ${key}`;
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return `${name} ${count}`;
  });
}

/** @param {Node} old @param {Node} fresh */
function patch(old, fresh) {
  if (!(old instanceof Element) || !(fresh instanceof Element)) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const typing =
    old instanceof HTMLInputElement &&
    old === document.activeElement &&
    old.value !== old.defaultValue;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const name of HANDLERS) {
    /** @type {any} */ (old)[name] = /** @type {any} */ (fresh)[name];
  }
  const chosen = fresh instanceof HTMLSelectElement ? fresh.value : "";
  patchChildren(old, [...fresh.childNodes]);
  if (old instanceof HTMLSelectElement && old.value !== chosen) old.value = chosen;
  if (old instanceof HTMLInputElement && fresh instanceof HTMLInputElement && !typing) {
    if (old.value !== fresh.value) old.value = fresh.value;
  }
}
