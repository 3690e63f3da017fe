/**
 * Colours of the canvases, read from the host's palette so that themes apply.
 *
 * @typedef {{surround: string, frame: string, border: string, text: string, muted: string,
 *   accent: string, warning: string, halo: string, handle: string, raised: string, grid: string,
 *   font: string}} Theme
 */

/** @type {Theme} */
export const FALLBACK = Object.freeze({
  surround: "#1b1c1f",
  frame: "#2b2d31",
  border: "#5a5d66",
  text: "#e6e6e6",
  muted: "#9a9da6",
  accent: "#4c9ffe",
  warning: "#ffb020",
  halo: "rgba(0,0,0,0.55)",
  handle: "#ffffff",
  raised: "#33353b",
  grid: "rgba(140,145,160,0.22)",
  font: "11px system-ui, sans-serif",
});

/** The host's colours are the same for every editor of the page, so they are read once. */
/** @type {Theme | null} */
let current = null;
/** @type {Set<() => void>} */
const followers = new Set();

/**
 * Call back when the host's palette changes.
 * @param {() => void} changed
 * @returns {() => void} stops it
 */
export function followTheme(changed) {
  if (!followers.size) {
    for (const root of [document.documentElement, document.body]) {
      observer().observe(root, { attributes: true, attributeFilter: ["class", "style"] });
    }
  }
  followers.add(changed);
  return () => followers.delete(changed);
}

/** @type {MutationObserver | null} */
let watching = null;

function observer() {
  watching ??= new MutationObserver(() => {
    current = null;
    for (const changed of followers) changed();
  });
  return watching;
}

/**
 * @param {Element} element inside the editor, where editor.css has resolved the host's variables
 * @returns {Theme}
 */
export function themeOf(element) {
  if (current) return current;
  const style = getComputedStyle(element);
  if (!style.getPropertyValue("--tora2-surround")) return FALLBACK; // the styles are on their way
  const read = (/** @type {string} */ name, /** @type {string} */ fallback) =>
    style.getPropertyValue(name).trim() || fallback;
  current = {
    surround: read("--tora2-surround", FALLBACK.surround),
    frame: read("--tora2-frame", FALLBACK.frame),
    border: read("--tora2-border", FALLBACK.border),
    text: read("--tora2-text", FALLBACK.text),
    muted: read("--tora2-muted", FALLBACK.muted),
    accent: read("--tora2-accent", FALLBACK.accent),
    warning: read("--tora2-warning", FALLBACK.warning),
    halo: read("--tora2-halo", FALLBACK.halo),
    handle: read("--tora2-handle", FALLBACK.handle),
    raised: read("--tora2-raised", FALLBACK.raised),
    grid: read("--tora2-grid", FALLBACK.grid),
    font: `11px ${style.fontFamily || "system-ui, sans-serif"}`,
  };
  return current;
}
