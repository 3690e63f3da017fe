/**
 * One trajectory editor: puts the parts together and draws them once a frame when something changed.
 *
 * @typedef {import("./types.mjs").Doc} Doc
 * @typedef {import("./types.mjs").Viewport} Viewport
 * @typedef {import("./inspector.mjs").Forced} Forced
 * @typedef {import("./strings.mjs").Translate} Translate
 *
 * What the editor asks of the node it sits in.
 * @typedef {{
 *   commit(doc: Doc): void,
 *   undo(): void,
 *   redo(): void,
 *   forced(): Forced,
 *   sources(): import("./background.mjs").Source,
 *   saveLayers(layers: Layers): void,
 * }} Port
 * @typedef {{hidden: string[], locked: string[]}} Layers
 */
import { Background } from "./background.mjs";
import { prepare } from "./canvas.mjs";
import { listenToClipboard } from "./clipboard.mjs";
import { Controller, finish } from "./controller.mjs";
import { emptyDocument, read } from "./document.mjs";
import { el } from "./dom.mjs";
import { listenToDrops } from "./files.mjs";
import { createFullscreen } from "./fullscreen.mjs";
import { createInspector } from "./inspector.mjs";
import { handleKey } from "./keyboard.mjs";
import { createLayers } from "./layers.mjs";
import { createMenu } from "./menu.mjs";
import { resized } from "./timing.mjs";
import { motionOf } from "./motion.mjs";
import { PathLayer } from "./pathlayer.mjs";
import { createShortcuts } from "./shortcuts.mjs";
import { listen } from "./stage.mjs";
import { createStatus } from "./status.mjs";
import { Store } from "./store.mjs";
import { FALLBACK, themeOf } from "./theme.mjs";
import { createToolbar } from "./toolbar.mjs";
import { createClock, createTransport, togglePlay } from "./transport.mjs";
import { paint } from "./view.mjs";
import { fit, panned, zoomed } from "./viewport.mjs";

const WIDE = 520;
const JUST_NOW_MS = 250;

export class Editor {
  /**
   * @param {Port} port
   * @param {Translate} t
   */
  constructor(port, t) {
    this.port = port;
    this.t = t;
    /** The value as it came, for export when it cannot be read. @type {unknown} */
    this.raw = null;
    /** The document in it, before the graph's sizes. */
    this.own = emptyDocument();
    /** When the focus left for nowhere, as it does when the element is taken out of the page. */
    this.lostFocus = -Infinity;
    this.store = new Store((doc) => this.commit(doc));
    const { store } = this;
    this.background = new Background(() => this.redraw());
    this.canvas = el("canvas", {
      class: "tora2-canvas",
      tabIndex: 0,
      role: "application",
      "aria-label": t("stage"),
      "data-capture-wheel": "true",
    });
    this.paths = new PathLayer(() => el("canvas"));
    this.controller = new Controller(store, () => this.view());
    this.fullscreen = createFullscreen(() => this.element);
    this.shortcuts = createShortcuts(t);
    this.status = createStatus(store, t);
    this.menu = createMenu(this);
    this.toolbar = createToolbar(store, t, {
      undo: () => this.port.undo(),
      redo: () => this.port.redo(),
      fit: () => store.set({ viewport: null }),
      fullscreen: () => this.fullscreen.toggle(),
      layers: () => this.toggleSide(),
      menu: (button) => this.menu.toggle(button),
    });
    this.layers = createLayers(store, t);
    this.inspector = createInspector(store, t, () => this.port.forced());
    this.transport = createTransport(store, t, this.status.element);
    this.side = el("div", { class: "tora2-side" }, this.layers.element);
    this.element = el(
      "div",
      { class: "tora2-editor" },
      this.toolbar.element,
      this.status.banner,
      el(
        "div",
        { class: "tora2-body" },
        el("div", { class: "tora2-stage" }, this.canvas),
        this.side,
      ),
      this.inspector.element,
      this.transport.element,
      this.menu.element,
      this.shortcuts.element,
    );
    this.theme = FALLBACK;
    this.scheduled = false;
    this.animationFrame = () => {
      if (this.scheduled) this.draw();
    };
    this.listen();
  }

  listen() {
    const { store, canvas, element } = this;
    createClock(store);
    store.subscribe((state, before) => {
      this.redraw();
      if (state.hidden !== before.hidden || state.locked !== before.locked) {
        this.port.saveLayers({ hidden: [...state.hidden], locked: [...state.locked] });
      }
    });
    listen(canvas, this.controller, {
      hover: (press) => {
        const cursor = this.controller.cursorAt(press);
        if (canvas.style.cursor !== cursor) canvas.style.cursor = cursor;
      },
      leave: () => this.controller.leave(),
      pinch: (middle, factor, by) =>
        store.set({ viewport: zoomed(panned(this.view(), by), middle, factor) }),
      wheel: (event, css) => this.wheel(event, css),
    });
    canvas.addEventListener("pointerdown", () => canvas.focus({ preventScroll: true }));
    element.addEventListener("pointerdown", (event) => {
      this.menu.dismiss(event.target);
      event.stopPropagation();
    });
    element.addEventListener("click", (event) => this.refocus(event));
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("focusout", ({ relatedTarget }) => {
      this.lostFocus = relatedTarget ? -Infinity : performance.now();
    });
    listenToClipboard(this);
    listenToDrops(this);
    this.resized = new ResizeObserver(() => {
      this.theme = themeOf(this.element);
      element.classList.toggle("tora2-narrow", element.clientWidth < WIDE);
      this.draw();
    });
    this.resized.observe(canvas);
    this.rethemed = new MutationObserver(() => {
      this.theme = themeOf(this.element);
      this.redraw();
    });
    for (const root of [document.documentElement, document.body]) {
      this.rethemed.observe(root, { attributes: true, attributeFilter: ["class", "style"] });
    }
  }

  /** Whether the editor has the focus, or had it until its element left the page just now. */
  hasFocus() {
    return (
      this.element.contains(document.activeElement) ||
      performance.now() - this.lostFocus < JUST_NOW_MS
    );
  }

  /** @returns {Viewport} */
  view() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return this.store.state.viewport ?? fit(this.store.state.doc, { width, height });
  }

  /**
   * Show a value of the widget: a document, or whatever else a workflow file holds.
   * @param {unknown} value
   * @param {Layers} [layers]
   */
  load(value, layers) {
    this.raw = value;
    const reading = read(value);
    const flags = layers ? { hidden: new Set(layers.hidden), locked: new Set(layers.locked) } : {};
    this.own = (reading.kind === "junk" ? null : reading.document) ?? emptyDocument();
    let message = null;
    if (reading.kind === "junk") message = `${this.t("junk")}: ${reading.message}`;
    if (reading.kind === "newer") message = this.t("newer", { version: reading.version });
    this.store.load(resized(this.own, this.port.forced()), {
      readOnly: message !== null,
      message,
      ...flags,
    });
  }

  /** Follow the graph: its sizes win, its pictures lie behind the paths. */
  follow() {
    const { state, settled } = this.store;
    const doc = resized(this.own, this.port.forced());
    const same =
      doc.width === settled.width && doc.height === settled.height && doc.frames === settled.frames;
    if (!same && state.doc === settled) this.store.load(doc);
    this.background.follow(this.port.sources());
    this.redraw();
  }

  /** @param {Doc} doc */
  commit(doc) {
    this.raw = doc;
    this.own = doc;
    this.port.commit(doc);
  }

  redraw() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(this.animationFrame);
  }

  draw() {
    this.scheduled = false;
    const prepared = prepare(this.canvas);
    if (!prepared) return;
    const { state, settled } = this.store;
    const { context } = prepared;
    const motion = motionOf(state.doc, settled);
    const backdrop = this.background.at(state.frame, state.doc.frames);
    const stage = { context, state, view: this.view(), theme: this.theme };
    paint(stage, prepared, backdrop, motion, this.paths);
    this.transport.paint(this.theme, motion);
    this.toolbar.update();
    this.layers.update();
    if (!motion.heavy) this.inspector.update();
    this.transport.update();
    if (!motion.heavy) this.status.update();
  }

  toggleSide() {
    this.element.classList.toggle("tora2-flip");
  }

  /** After a click on a button or a row the keys belong to the stage. @param {MouseEvent} event */
  refocus({ detail, target }) {
    if (detail === 0 || !(target instanceof Element)) return;
    const clicked = target.closest("button, .tora2-track, .tora2-layer");
    if (!clicked || clicked.hasAttribute("aria-haspopup") || target.matches("input")) return;
    this.canvas.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { target } = event;
    const typing = target instanceof Element && target.matches("input, select, textarea");
    if (typing) {
      if (event.key === "Escape" || event.key === "Enter") this.canvas.focus();
      event.stopPropagation();
      return;
    }
    const pressing =
      target instanceof Element && target.matches("button") && [" ", "Enter"].includes(event.key);
    if (pressing) return event.stopPropagation();
    if (!handleKey(this.actions(), event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @returns {import("./keyboard.mjs").Actions} */
  actions() {
    const { store, canvas } = this;
    return {
      store,
      fit: () => store.set({ viewport: null }),
      zoom: (factor) =>
        this.controller.zoom({ x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 }, factor),
      play: () => togglePlay(store),
      fullscreen: () => this.fullscreen.toggle(),
      shortcuts: () => this.shortcuts.toggle(),
      escape: () => this.escape(),
    };
  }

  escape() {
    if (this.controller.gesture) this.controller.cancel();
    else if (this.menu.close() || this.shortcuts.close()) this.canvas.focus();
    else if (this.store.state.drawing || this.store.state.selection.size) finish(this.store);
    else this.fullscreen.leave();
  }

  /**
   * The wheel zooms only while the editor has the focus; else it belongs to the graph.
   * @param {WheelEvent} event
   * @param {import("./types.mjs").Vec} css
   */
  wheel(event, css) {
    if (!this.element.contains(document.activeElement)) return false;
    if (event.shiftKey) {
      const by = { x: -(event.deltaX || event.deltaY), y: 0 };
      this.store.set({ viewport: panned(this.view(), by) });
    } else {
      this.controller.zoom(css, Math.exp(-event.deltaY / 400));
    }
    return true;
  }

  /** Let go of what outlives the element. */
  destroy() {
    this.store.set({ playing: false });
    this.fullscreen.leave();
    this.background.clear();
    this.resized?.disconnect();
    this.rethemed?.disconnect();
  }
}
