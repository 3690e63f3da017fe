/**
 * Opens an editor, and tells it what the browser tells: pointers, wheel, keys, focus, clipboard,
 * files, its size and the host's colours.
 *
 * @typedef {import("./editor.mjs").Port} Port
 * @typedef {import("./labels/strings.mjs").Translate} Translate
 */
import { handleKey } from "./controller/keyboard.mjs";
import { Editor } from "./editor.mjs";
import { listenToClipboard } from "./input/clipboard.mjs";
import { createClock } from "./input/clock.mjs";
import { listenToDrops } from "./input/files.mjs";
import { listen } from "./input/pointers.mjs";
import { allPoints } from "./model/selection.mjs";
import { panned, zoomed } from "./model/viewport.mjs";
import { followTheme } from "./view/theme.mjs";

/** Narrower than this (css) there is no room for the layers beside the stage. */
const WIDE = 520;

/**
 * @param {Port} port
 * @param {Translate} t
 */
export function openEditor(port, t) {
  const editor = new Editor(port, t);
  editor.disconnect = connect(editor);
  return editor;
}

/**
 * @param {Editor} editor
 * @returns {() => void} lets go of what outlives the element
 */
function connect(editor) {
  const { store, canvas, element, controller } = editor;
  createClock(store);
  store.subscribe((state, before) => {
    editor.redraw();
    const { hidden, locked, collapsed } = state;
    const same = hidden === before.hidden && locked === before.locked;
    if (same && collapsed === before.collapsed) return;
    const folded = collapsed.size ? { collapsed: [...collapsed] } : {};
    editor.port.saveLayers({ hidden: [...hidden], locked: [...locked], ...folded });
  });
  listen(canvas, controller, {
    hover: (press) => {
      const cursor = controller.cursorAt(press);
      if (canvas.style.cursor !== cursor) canvas.style.cursor = cursor;
    },
    leave: () => controller.leave(),
    pinch: (middle, factor, by) =>
      store.set({ viewport: zoomed(panned(editor.view(), by), middle, factor) }),
    wheel: (event, css) => wheel(editor, event, css),
  });
  canvas.addEventListener("pointerdown", () => canvas.focus({ preventScroll: true }));
  element.addEventListener("pointerdown", (event) => {
    editor.menu.dismiss(event.target);
    editor.context.dismiss(event.target);
    event.stopPropagation();
  });
  element.addEventListener("contextmenu", (event) => {
    event.stopPropagation(); // the node's menu, which removes it, is not meant
    if (isTyping(event.target)) return;
    event.preventDefault();
    askAt(editor, event);
  });
  element.addEventListener("click", (event) => refocus(editor, event));
  element.addEventListener("keydown", (event) => key(editor, event));
  element.addEventListener("focusout", ({ relatedTarget }) => {
    editor.lostFocus = relatedTarget ? -Infinity : performance.now();
  });
  listenToClipboard(editor);
  listenToDrops(editor);
  const resized = new ResizeObserver(([{ contentRect }]) => editor.resize(contentRect));
  resized.observe(canvas);
  const widened = new ResizeObserver(([{ contentRect }]) => {
    element.classList.toggle("tora2-narrow", contentRect.width < WIDE);
  });
  widened.observe(element);
  const unfollow = followTheme(() => editor.redraw());
  return () => {
    resized.disconnect();
    widened.disconnect();
    unfollow();
  };
}

/**
 * The menu of what lies under the pointer: it is selected first, unless it is.
 * @param {Editor} editor
 * @param {MouseEvent} event
 */
function askAt(editor, event) {
  const { target } = event;
  if (!(target instanceof Element) || target.closest(".tora2-menu, .tora2-floating")) return;
  const { canvas, controller, store, transport } = editor;
  const row = target.closest("[data-track]");
  if (target === canvas) {
    const box = canvas.getBoundingClientRect();
    const zoom = box.width / canvas.clientWidth || 1;
    const css = { x: (event.clientX - box.left) / zoom, y: (event.clientY - box.top) / zoom };
    if (!controller.choose({ css, pointer: "mouse", zoom })) return;
  } else if (target === transport.canvas) {
    transport.choose(event);
  } else if (row instanceof HTMLElement) {
    const track = store.state.doc.tracks.find(({ id }) => id === row.dataset.track);
    if (track && !store.state.selection.has(track.id)) {
      store.set({ selection: new Map([[track.id, allPoints(track)]]), entity: track.entity });
    }
  } else {
    return;
  }
  editor.context.open(event);
}

/** After a click on a button or a row the keys belong to the stage. @param {Editor} editor @param {MouseEvent} event */
function refocus({ canvas }, { detail, target }) {
  if (detail === 0 || !(target instanceof Element)) return;
  if (document.activeElement?.matches(".tora2-editor input")) return; // which the click gave it to
  const clicked = target.closest("button, .tora2-track, .tora2-layer");
  if (!clicked || clicked.hasAttribute("aria-haspopup") || target.matches("input")) return;
  canvas.focus({ preventScroll: true });
}

/** @param {Editor} editor @param {KeyboardEvent} event */
function key(editor, event) {
  const { target } = event;
  if (isTyping(target)) {
    event.stopPropagation();
    // While an input method composes a word, both keys are its own.
    if (event.isComposing || (event.key !== "Escape" && event.key !== "Enter")) return;
    if (event.key === "Escape" && target instanceof HTMLInputElement) {
      target.value = target.defaultValue;
    }
    editor.canvas.focus();
    return;
  }
  const pressing =
    target instanceof Element && target.matches("button") && [" ", "Enter"].includes(event.key);
  const reading = target instanceof Element && target.closest(".tora2-sheet");
  if (pressing || (reading && !["Escape", "?"].includes(event.key))) return event.stopPropagation();
  if (!handleKey(editor, event)) return;
  event.preventDefault();
  event.stopPropagation();
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.matches("input, select, textarea");
}

/**
 * The wheel zooms only while the editor has the focus; else it belongs to the graph.
 * @param {Editor} editor
 * @param {WheelEvent} event
 * @param {import("./model/types.mjs").Vec} css
 */
function wheel({ element, store, controller }, event, css) {
  if (!element.contains(document.activeElement)) return false;
  if (event.shiftKey) {
    const by = { x: -(event.deltaX || event.deltaY), y: 0 };
    store.set({ viewport: panned(controller.view(), by) });
  } else {
    controller.zoom(css, Math.exp(-event.deltaY / 400));
  }
  return true;
}
