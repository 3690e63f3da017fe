/**
 * One trajectory editor: puts the parts together and draws them once a frame when something changed.
 *
 * @typedef {import("./model/types.mjs").Doc} Doc
 * @typedef {import("./model/types.mjs").Viewport} Viewport
 * @typedef {import("./model/layers.mjs").Layers} Layers
 * @typedef {import("./model/types.mjs").Forced} Forced
 * @typedef {import("./labels/strings.mjs").Translate} Translate
 *
 * What the editor asks of the node it sits in.
 * @typedef {{
 *   commit(doc: Doc, brief: boolean): void,
 *   undo(): Promise<boolean>,
 *   redo(): Promise<unknown>,
 *   forced(): Forced,
 *   refused(): Forced,
 *   sources(): import("./view/background.mjs").Source,
 *   fit(): import("./model/fitting.mjs").Fit,
 *   setFit(fit: import("./model/fitting.mjs").Fit): void,
 *   saveLayers(layers: Layers): void,
 *   lend(file: File): Promise<string | null>,
 *   portraits?(): Record<string, string>,
 *   cutOuts?(): import("./model/sizes.mjs").CutOut[],
 *   library?: import("./panels/shelf.mjs").Storage,
 * }} Port `undo`: false where the step before is the one that made the node; `portraits`: addresses
 *   of the entities' pictures, by name in small letters
 */
import { finish } from "./controller/edits.mjs";
import { StageController } from "./controller/stagecontrol.mjs";
import { read } from "./formats/reading.mjs";
import { pasteText } from "./input/clipboard.mjs";
import { emptyDocument } from "./model/document.mjs";
import { motionOf } from "./model/motion.mjs";
import { heightsIn } from "./model/sizes.mjs";
import { Store } from "./model/store.mjs";
import { resized } from "./model/timing.mjs";
import { fit, fitAll } from "./model/viewport.mjs";
import { createCamera } from "./panels/camera.mjs";
import { createContext } from "./panels/context.mjs";
import { createFullscreen } from "./panels/fullscreen.mjs";
import { createInspector } from "./panels/inspector.mjs";
import { createLayers } from "./panels/layers.mjs";
import { createMenu } from "./panels/menu.mjs";
import { createMotion } from "./panels/motion.mjs";
import { createShelf } from "./panels/shelf.mjs";
import { createShortcuts } from "./panels/shortcuts.mjs";
import { createStatus } from "./panels/status.mjs";
import { createToolbar } from "./panels/toolbar.mjs";
import { createTransport } from "./panels/transport.mjs";
import { Background } from "./view/background.mjs";
import { measure, prepare } from "./view/canvas.mjs";
import { el } from "./view/dom.mjs";
import { paintStage, pathLayers } from "./view/stageview.mjs";
import { themeOf } from "./view/theme.mjs";

const JUST_NOW_MS = 250;
/** The panels wait no longer than this for a pause of the page. */
const FURNISH_MS = 300;

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
    this.opened = false;
    /** The document in it, before the graph's sizes. */
    this.own = emptyDocument();
    /** When the focus left for nowhere, as it does when the element is taken out of the page. */
    this.lostFocus = -Infinity;
    this.store = new Store((doc, brief) => this.commit(doc, brief));
    const { store } = this;
    this.background = new Background(
      () => this.redraw(),
      (file) => this.port.lend(file),
    );
    this.canvas = el("canvas", {
      class: "tora2-canvas",
      tabIndex: 0,
      role: "application",
      "aria-label": t("stage"),
      "data-capture-wheel": "true",
    });
    /** Where the frame lies when it is fitted to the stage. @type {Viewport | null} */
    this.fitted = null;
    this.paths = pathLayers(() => el("canvas"));
    this.controller = new StageController(store, () => this.view());
    this.controller.masks = () => this.background.cells(store.state.doc, store.state.frame);
    /** Pictures of entities that were dropped on them, by id. @type {Map<string, string>} */
    this.dropped = new Map();
    this.shelf = createShelf(
      () => this.port.library,
      t,
      () => this.redraw(),
    );
    /** The panels over the stage are made when they are first opened. @type {ReturnType<typeof createCamera> | null} */
    this.camera = null;
    /** @type {ReturnType<typeof createMotion> | null} */
    this.motion = null;
    this.context = createContext(this, () => this.element);
    this.fullscreen = createFullscreen(() => this.element);
    this.shortcuts = createShortcuts(t);
    this.status = createStatus(store, t, () => this.port.refused());
    this.menu = createMenu(this);
    this.toolbar = createToolbar(
      this,
      t,
      (button) => this.menu.toggle(button),
      () => this.openCamera(),
    );
    this.layers = createLayers(store, t);
    this.inspector = createInspector(
      store,
      t,
      () => this.port.forced(),
      () => this.openMotion(),
    );
    this.transport = createTransport(this, t, this.status.element);
    this.side = el("div", { class: "tora2-side" });
    this.body = el(
      "div",
      { class: "tora2-body" },
      el("div", { class: "tora2-stage" }, this.canvas),
      this.side,
      this.shelf.element,
    );
    this.element = el(
      "div",
      { class: "tora2-editor" },
      this.toolbar.element,
      this.status.banner,
      this.body,
      this.inspector.element,
      this.transport.element,
      this.menu.element,
      this.context.element,
      this.shortcuts.element,
    );
    /** The size of the canvas when it was drawn last. @type {import("./view/canvas.mjs").Size | null} */
    this.drawn = null;
    /** Whether the layers and the numbers have been built. */
    this.furnished = false;
    this.furnishing = false;
    this.scheduled = false;
    this.animationFrame = () => {
      if (this.scheduled) this.draw();
    };
    /** Lets go of what outlives the element. */
    this.disconnect = () => {};
  }

  /** Whether the editor has the focus, or had it until its element left the page just now. */
  hasFocus() {
    return (
      this.element.contains(document.activeElement) ||
      performance.now() - this.lostFocus < JUST_NOW_MS
    );
  }

  /**
   * Where the frame lies on the stage. It stays there while a pointer is pressed, whatever else
   * happens to the size of the node.
   * @returns {Viewport}
   */
  view() {
    const { viewport, doc } = this.store.state;
    if (viewport) return viewport;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!this.controller.gesture || !this.fitted) this.fitted = fit(doc, { width, height });
    return this.fitted;
  }

  /**
   * Show a value of the widget: a document, or whatever else a workflow file holds.
   * @param {unknown} value
   * @param {Layers} [layers]
   */
  load(value, layers) {
    this.raw = value;
    const reading = read(value);
    const flags = layers
      ? {
          hidden: new Set(layers.hidden),
          locked: new Set(layers.locked),
          collapsed: new Set(layers.collapsed),
        }
      : {};
    this.own = (reading.kind === "junk" ? null : reading.document) ?? emptyDocument();
    let message = null;
    if (reading.kind === "junk") message = `${this.t("junk")}: ${reading.message}`;
    if (reading.kind === "newer") message = this.t("newer", { version: reading.version });
    // Paths that are there when the editor opens are dragged first; on an empty frame one draws.
    const tool = this.opened ? this.store.state.tool : this.own.tracks.length ? "select" : "points";
    this.opened = true;
    this.store.load(resized(this.own, this.port.forced()), {
      readOnly: message !== null,
      message,
      tool,
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
    this.followHeights();
    this.background.fit = this.port.fit();
    this.background.follow(this.port.sources());
    this.redraw();
  }

  /** Follow the sizes that the graph's cut-outs give. */
  followHeights() {
    const { doc, heights: before } = this.store.state;
    const heights = heightsIn(doc, this.port.cutOuts?.() ?? []);
    if (JSON.stringify([...heights]) !== JSON.stringify([...before])) this.store.set({ heights });
  }

  /** @param {Doc} doc @param {boolean} brief */
  commit(doc, brief) {
    this.raw = doc;
    this.own = doc;
    this.port.commit(doc, brief);
  }

  redraw() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(this.animationFrame);
  }

  /**
   * Draw at once while the node is being resized; but a host that has just made the node goes on to
   * change its size, so the first picture waits for the next frame.
   * @param {{width: number, height: number}} size of the canvas, css
   */
  resize({ width, height }) {
    const { drawn } = this;
    if (!drawn) this.redraw();
    else if (drawn.width !== width || drawn.height !== height) this.draw();
  }

  draw() {
    this.scheduled = false;
    // Layout is read before anything is written: reading after writing lays the page out again.
    const size = measure(this.canvas);
    const strip = this.transport.measure();
    if (!size) return;
    this.drawn = size;
    const { state, settled } = this.store;
    const motion = motionOf(state.doc, settled);
    const backdrop = this.background.at(state.frame, state.doc.frames);
    const context = prepare(this.canvas, size);
    const theme = themeOf(this.element);
    const view = this.view();
    if (context) {
      const busy = backdrop.picture !== null || backdrop.tint !== null;
      const hint = state.doc.tracks.length || state.readOnly ? "" : this.t("hintEmpty");
      const portraits = this.portraits();
      paintStage(
        { context, state, view, theme, busy, hint, portraits },
        size,
        backdrop,
        motion,
        this.paths,
      );
    }
    if (strip) this.transport.paint(strip, theme, motion);
    this.update(motion.heavy);
  }

  /** What lies around the canvases. @param {boolean} [heavy] only what a heavy edit has time for */
  update(heavy = false) {
    this.transport.update();
    if (!this.furnished) return this.furnish();
    this.toolbar.update();
    this.layers.update();
    if (heavy) return;
    this.inspector.update();
    this.status.update();
    this.motion?.update();
    this.camera?.update();
  }

  /** The pictures of the entities, as far as they are known and loaded. */
  portraits() {
    const { doc, sizes } = this.store.state;
    const known = sizes ? (this.port.portraits?.() ?? {}) : {};
    return (/** @type {import("./model/types.mjs").Track} */ { entity }) => {
      const owner = doc.entities.find(({ id }) => id === entity);
      const url = owner && (this.dropped.get(owner.id) ?? known[owner.name.toLowerCase()]);
      return url ? this.background.picture(url) : null;
    };
  }

  /** Show a picture of an entity's along its paths. @param {string} id @param {File} file */
  portray(id, file) {
    const before = this.dropped.get(id);
    if (before) URL.revokeObjectURL(before);
    this.dropped.set(id, URL.createObjectURL(file));
    this.store.set({ sizes: true });
  }

  /**
   * A panel that was made, laid over the stage.
   * @template {{element: HTMLElement}} P
   * @param {P} panel
   */
  laid(panel) {
    this.body.append(panel.element);
    return panel;
  }

  openMotion() {
    this.camera?.close();
    void this.shelf.open();
    this.motion ??= this.laid(createMotion(this.store, this.t, this.shelf));
    this.motion.toggle();
    this.update();
  }

  openCamera() {
    this.motion?.close();
    this.camera ??= this.laid(createCamera(this.store, this.t));
    this.camera.toggle();
    this.update();
  }

  /** @param {string} id */
  nameTrack(id) {
    this.layers.nameTrack(id);
  }

  /** Fill the panels for the first time when the page has a moment: a graph may open many editors. */
  furnish() {
    if (this.furnishing) return;
    this.furnishing = true;
    whenIdle(() => {
      this.furnished = true;
      this.side.append(this.layers.element);
      this.update();
    });
  }

  async undo() {
    if (!(await this.port.undo())) this.status.say(this.t("nothingToUndo"));
  }

  redo() {
    void this.port.redo();
  }

  /** Paste what is on the clipboard, without an event that brings it. */
  paste() {
    void navigator.clipboard?.readText().then(
      (text) => pasteText(this, text),
      () => {},
    );
  }

  /** Zoom about the middle of the stage. @param {number} factor */
  zoom(factor) {
    const { clientWidth, clientHeight } = this.canvas;
    this.controller.zoom({ x: clientWidth / 2, y: clientHeight / 2 }, factor);
  }

  /** Show the whole frame, and the points that lie off it. */
  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.store.set({ viewport: fitAll(this.store.state.doc, { width, height }) });
  }

  /** Leave the innermost thing that is open or under way. */
  escape() {
    const { controller, menu, shortcuts, store, fullscreen, canvas } = this;
    if (controller.gesture) controller.cancel();
    else if (menu.close() || shortcuts.close() || this.closeFloating()) canvas.focus();
    else if (store.state.drawing || store.state.selection.size) finish(store);
    else fullscreen.leave();
  }

  closeFloating() {
    const panels = [this.context, this.shelf, this.motion, this.camera];
    return panels.some((panel) => panel?.close());
  }

  toggleFullscreen() {
    this.fullscreen.toggle();
  }

  toggleSide() {
    this.element.classList.toggle("tora2-flip");
  }

  toggleShortcuts() {
    this.shortcuts.toggle();
    if (this.shortcuts.element.hidden) this.canvas.focus({ preventScroll: true });
  }

  /** Let go of what outlives the element. */
  destroy() {
    this.store.set({ playing: false });
    this.fullscreen.leave();
    this.background.clear();
    for (const url of this.dropped.values()) URL.revokeObjectURL(url);
    this.disconnect();
    this.element.remove(); // the host may keep the node's widget, and with it all that is in it
  }
}

/** How many editors have asked for a pause. */
let asked = 0;

/**
 * Run in the page's first pause after a frame in which no editor was opened, or soon after.
 * @param {() => void} run
 */
function whenIdle(run) {
  const wait = (/** @type {number} */ before) =>
    requestAnimationFrame(() => {
      if (asked !== before) wait(asked);
      else if ("requestIdleCallback" in globalThis)
        requestIdleCallback(run, { timeout: FURNISH_MS });
      else setTimeout(run);
    });
  wait(++asked);
}
