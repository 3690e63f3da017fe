/**
 * The seam to ComfyUI's frontend: the only module that imports it. Registers the widget, keeps one
 * editor for each node across the reloads that the host's undo makes, and gives the editor a port to
 * the host's history, settings and graph.
 *
 * @typedef {import("@comfyorg/comfyui-frontend-types").ComfyApp} ComfyApp
 * @typedef {NonNullable<ReturnType<NonNullable<ComfyApp["rootGraph"]>["getNodeById"]>>} LGraphNode
 * @typedef {import("./editor/editor.mjs").Port} Port
 * @typedef {import("./editor/model/layers.mjs").Layers} Layers
 * @typedef {import("./editor/editor.mjs").Editor} Editor
 */
// @ts-ignore: served by the host
import { api } from "../../scripts/api.js";
// @ts-ignore: served by the host
import { app as hostApp } from "../../scripts/app.js";
import { emptyDocument } from "./editor/model/document.mjs";
import { comboOf } from "./editor/controller/keyboard.mjs";
import { openEditor } from "./editor/open.mjs";
import { fitOf } from "./editor/model/fitting.mjs";
import { translator } from "./editor/labels/strings.mjs";
import { OWN } from "./editor/input/pointers.mjs";
import { isFirst } from "./once.mjs";
import { Stepping } from "./stepping.mjs";
import { cutOutsOf, forcedSizes, portraitsOf, refusedSizes, sourceOf } from "./upstream.mjs";
import { sayer } from "./words/checking.mjs";
import { createNotice } from "./words/notice.mjs";

/** @type {ComfyApp} */
const app = hostApp;
const NODE = "Tora2TrajectoryEditor";
const WIDGET = "TORA2_TRAJECTORY_DOCUMENT";
const PLACING = "Tora2PlaceEntities";
const BINDING = "Tora2Bind";
const INITIAL_SIZE = /** @type {[number, number]} */ ([760, 740]);
const MIN_HEIGHT = 480;
const LAYERS = "tora2_layers";
const LIBRARY = "tora2-presets.json";
const PAUSE_MS = 700;
const SETTLED_MS = 120;
/** The inputs whose pictures a run brings. */
const SHOWN = ["background", "masks", "width", "height", "frames"];
/** Runs that are looked through for one of the node. */
const REMEMBERED = 32;
/** The keys of the host's history. @type {Readonly<Record<string, "undo" | "redo">>} */
const STEPS = { "Ctrl+Z": "undo", "Ctrl+Y": "redo", "Ctrl+Shift+Z": "redo" };
/** How long the editor of a removed node waits for the node to come back. */
const KEEP_MS = 1500;

/**
 * Editors whose node was removed, by its place.
 * @type {Map<string, {editor: Editor, focused: boolean}>}
 */
const parked = new Map();

/** Where a node is; `graph` is empty for the root, whose id changes when it is reloaded. @typedef {{graph: string, id: string}} Home */

/** @param {LGraphNode} node @returns {Home} */
function homeOf(node) {
  const graph = node.graph === app.rootGraph ? "" : String(node.graph?.id);
  return { graph, id: String(node.id) };
}

/** The name of a home in its workflow. @param {Home} home */
function placeOf({ graph, id }) {
  const { path } = app.extensionManager.workflow.activeWorkflow ?? {};
  return `${path}/${graph}/${id}`;
}

/** The pause after which a run of brief edits has ended; 0 while there is none. */
let pause = 0;

/**
 * One step of the host's history. Brief edits, such as presses of an arrow, make one together until
 * they pause or something else is done.
 * @param {() => void} change
 * @param {boolean} [brief]
 */
function asOneEdit(change, brief = false) {
  if (!brief) endRun();
  if (pause) clearTimeout(pause);
  else app.canvas.emitBeforeChange();
  change();
  if (brief) pause = setTimeout(endRun, PAUSE_MS);
  else app.canvas.emitAfterChange();
}

function endRun() {
  if (!pause) return;
  clearTimeout(pause);
  pause = 0;
  app.canvas.emitAfterChange();
}

/** @param {KeyboardEvent} event */
function endRunAtKey({ key }) {
  if (key !== "Shift" && !key.startsWith("Arrow")) endRun();
}

/** The history is the host's; the editors ask for its steps here. */
const stepping = new Stepping();
/** The editor that asked for the last step; its node is away while the step is made. @type {Editor | null} */
let stepper = null;

/** Whether the node is still there after a step back in the history. @param {Home} home */
function mayStepBack({ graph, id }) {
  const { changeTracker } = /** @type {any} */ (app.extensionManager.workflow.activeWorkflow ?? {});
  const past = changeTracker?.undoQueue?.at(-1);
  if (!past) return true; // and no step is made
  const inside = past.definitions?.subgraphs?.find(
    (/** @type {any} */ other) => other.id === graph,
  );
  const nodes = graph ? inside?.nodes : past.nodes;
  return Boolean(nodes?.some((/** @type {any} */ other) => String(other.id) === id));
}

/**
 * The keys of the history in an editor. Those that follow while a step is made come to no element of
 * ours, as the node is away, and are meant for it all the same.
 * @param {KeyboardEvent} event
 */
function takeStep(event) {
  const step = STEPS[comboOf(event)];
  const { target } = event;
  if (!step || !(target instanceof Element) || target.matches("input, textarea")) return;
  const own = [...editors].find(({ element }) => element.contains(target));
  const editor = own ?? (stepping.busy ? stepper : null);
  if (!editor) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  // The host makes its step a frame after the key, by what the event says then.
  Object.defineProperty(event, "key", { value: "" });
  if (event.repeat) return;
  stepper = editor;
  editor[step]();
}

/** @param {string} command @returns {Promise<unknown>} when it is done */
async function execute(command) {
  return app.extensionManager.command.execute(command);
}

/**
 * @param {LGraphNode} node
 * @param {string} name
 */
function createWidget(node, name) {
  const mount = document.createElement("div");
  mount.className = "tora2-mount";
  mount.dataset.captureWheel = "true";
  /** @type {unknown} */
  let value = emptyDocument();
  /** @type {Editor | null} */
  let editor = null;
  /** Where the node is; noted while it is there, as a removed node has no graph to ask. */
  let home = { graph: "", id: "" };

  /** Whether the node was made from saved values, as one that comes back is. */
  let configured = false;
  chain(node, "onConfigure", () => (configured = true));

  /** What an earlier run told a page that is gone. @type {Record<string, any> | null} */
  let earlier = null;
  let asked = false;
  const run = () => lastRun(node) ?? earlier ?? {};
  const remember = async () => {
    if (asked || lastRun(node) || !isLinked(node, SHOWN)) return;
    asked = true;
    earlier = (await earlierRun(String(node.id))) ?? earlier;
    editor?.follow();
  };

  /** @type {Port} */
  const port = {
    commit: (doc, brief) => asOneEdit(() => (widget.value = doc), brief),
    undo: () => {
      endRun();
      return stepping.add(async () => {
        const may = mayStepBack(home);
        if (may) await execute("Comfy.Undo");
        return may;
      });
    },
    redo: () => stepping.add(() => execute("Comfy.Redo")),
    forced: () => forcedSizes(node, run()),
    refused: () => refusedSizes(node, run()),
    sources: () => sourceOf(node, run(), viewUrl),
    lend,
    fit: () => fitOf(fitWidget(node)?.value),
    setFit: (fit) => {
      const chooser = fitWidget(node);
      if (chooser) asOneEdit(() => (chooser.value = fit));
    },
    portraits: () => portraitsOf(node, viewUrl),
    cutOuts: () => cutOutsOf(node),
    library: shelf,
    saveLayers: (layers) => (node.properties[LAYERS] = /** @type {any} */ (layers)),
  };

  const widget = /** @type {any} */ (node).addDOMWidget(name, WIDGET, mount, {
    getValue: () => {
      if (node.graph) home = homeOf(node);
      return /** @type {object} */ (value);
    },
    setValue: (/** @type {unknown} */ next) => {
      const own = next === value;
      value = next;
      if (editor && !own && editor.raw !== next) editor.load(next);
    },
    getMinHeight: () => MIN_HEIGHT,
    hideOnZoom: false,
    socketless: true,
    hideInPanel: true,
  });

  /** @param {ResizeObserverEntry[]} entries */
  const open = ([{ contentRect }]) => {
    if (editor || contentRect.width === 0 || !node.graph) return;
    home = homeOf(node);
    const kept = configured ? parked.get(placeOf(home)) : undefined;
    if (kept) parked.delete(placeOf(home));
    editor = kept?.editor ?? openEditor(port, translator(language()));
    editor.port = port;
    editor.load(value, kept ? undefined : savedLayers(node));
    editor.follow();
    editor.fullscreen.rehome(mount);
    if (kept?.focused) editor.canvas.focus({ preventScroll: true });
    editors.add(editor);
    showFit(node);
    void remember();
  };
  const observer = new ResizeObserver(open);
  observer.observe(mount);

  chain(node, "onConnectionsChange", () => {
    showFit(node);
    editor?.follow();
    void remember();
  });
  chain(node, "onWidgetChanged", () => editor?.follow());
  chain(node, "onExecuted", () => editor?.follow());
  chain(node, "onRemoved", () => {
    observer.disconnect();
    if (!editor) return;
    park(placeOf(home), editor);
    editor = null;
  });
  return widget;
}

/** Every editor that is open, for news of the graph. @type {Set<Editor>} */
const editors = new Set();

/** Keep an editor for the node that may be about to come back. @param {string} place @param {Editor} editor */
function park(place, editor) {
  const kept = { editor, focused: editor.hasFocus() };
  editors.delete(editor);
  parked.set(place, kept);
  const forget = () => {
    if (parked.get(place) !== kept) return;
    if (stepping.busy) return void setTimeout(forget, KEEP_MS);
    parked.delete(place);
    if (stepper === editor) stepper = null;
    editor.destroy();
  };
  setTimeout(forget, KEEP_MS);
}

/**
 * @param {LGraphNode} node
 * @param {string} method
 * @param {() => void} then
 */
function chain(node, method, then) {
  const hooks = /** @type {Record<string, any>} */ (/** @type {unknown} */ (node));
  const before = hooks[method];
  hooks[method] = function (/** @type {unknown[]} */ ...args) {
    const result = before?.apply(this, args);
    then();
    return result;
  };
}

/** @param {LGraphNode} node @returns {Layers | undefined} */
function savedLayers(node) {
  const saved = /** @type {any} */ (node.properties[LAYERS]);
  const strings = (/** @type {unknown} */ list) =>
    Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
  if (!saved) return undefined;
  return {
    hidden: strings(saved.hidden),
    locked: strings(saved.locked),
    collapsed: strings(saved.collapsed),
  };
}

/** What the node's last run told the page. @param {LGraphNode} node @returns {Record<string, any> | undefined} */
function lastRun(node) {
  return /** @type {any} */ (app).nodeOutputs?.[String(node.id)];
}

/** Whether one of some inputs is linked. @param {LGraphNode} node @param {string[]} names */
function isLinked(node, names) {
  return node.inputs.some(({ name, link }) => link !== null && names.includes(name));
}

/**
 * What the server remembers of a node's last run: a page that is loaded anew is told nothing of what
 * is in the server's cache.
 * @param {string} id
 * @returns {Promise<Record<string, any> | null>}
 */
async function earlierRun(id) {
  const answer = await api.fetchApi(`/history?max_items=${REMEMBERED}`);
  if (!answer.ok) return null;
  /** @type {any[]} */
  const runs = Object.values(await answer.json());
  const ours = runs.filter(
    ({ prompt, outputs }) => prompt?.[2]?.[id]?.class_type === NODE && outputs?.[id]?.tora2_size,
  );
  return ours.at(-1)?.outputs[id] ?? null;
}

/** The chooser of how the background lies in the frame. @param {LGraphNode} node */
function fitWidget(node) {
  return /** @type {any} */ (node.widgets?.find((widget) => widget.name === "fit"));
}

/** The chooser is there beside a linked background; the editor's menu has it always. @param {LGraphNode} node */
function showFit(node) {
  const chooser = fitWidget(node);
  if (!chooser) return;
  const hidden = !isLinked(node, ["background"]);
  chooser.hidden = hidden;
  // What Nodes 2.0 shows is a state by the node's number, which an earlier node may have left. It
  // comes first: mostly it watches the very same options, and sees no change once they have it.
  for (const options of [chooser._state?.options, chooser.options]) {
    if (options) options.hidden = hidden;
  }
}

/** @param {{filename: string, subfolder?: string, type?: string}} file */
function viewUrl({ filename, subfolder = "", type = "input" }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

/** Put a file into the server's temporary folder. @param {File} file @returns {Promise<string | null>} */
async function lend(file) {
  const form = new FormData();
  form.append("image", file);
  form.append("type", "temp");
  const answer = await api.fetchApi("/upload/image", { method: "POST", body: form });
  if (!answer.ok) return null;
  const { name, subfolder, type } = await answer.json();
  return viewUrl({ filename: name, subfolder, type });
}

/** Where curves and templates are kept for all workflows: among the files of the user. */
const shelf = {
  async load() {
    const answer = await api.getUserData(LIBRARY);
    return answer.ok ? answer.json() : null;
  },
  /** @param {unknown} value */
  async save(value) {
    await api.storeUserData(LIBRARY, value, { throwOnError: false });
  },
};

function language() {
  return String(app.extensionManager.setting.get("Comfy.Locale") ?? navigator.language);
}

function followGraph() {
  for (const editor of editors) editor.follow();
  for (const notice of notices) notice.update();
}

/** A widget that grew needs a node that holds it. @param {LGraphNode} node */
function makeRoom(node) {
  const [, needed] = node.computeSize();
  if (node.size[1] < needed) node.setSize([node.size[0], needed]);
}

/** What binding nodes say of their wiring. @type {Set<ReturnType<typeof createNotice>>} */
const notices = new Set();

/** @param {LGraphNode} node */
function watchBinding(node) {
  const notice = createNotice(node, sayer(language()), makeRoom);
  notices.add(notice);
  chain(node, "onConnectionsChange", () => requestAnimationFrame(notice.update));
  chain(node, "onRemoved", () => notices.delete(notice));
}

/** Draw as sharply as the graph's zoom asks; the page may be laid out a little after the news. */
function followZoom() {
  const ds = /** @type {any} */ (app.canvas.ds);
  const before = ds.onChanged;
  let zoom = ds.scale;
  let later = 0;
  const redraw = () => {
    for (const editor of editors) editor.redraw();
  };
  ds.onChanged = function (/** @type {[number, unknown]} */ ...news) {
    before?.apply(this, news);
    if (news[0] === zoom) return;
    zoom = news[0];
    clearTimeout(later);
    later = setTimeout(redraw, SETTLED_MS);
  };
}

/**
 * The host zooms the graph for two fingers wherever they are, ahead of any listener of ours; over a
 * stage they zoom what is on it.
 * @param {TouchEvent} event
 */
function keepPinch(event) {
  const ours = [...event.touches].every(
    ({ target }) => target instanceof Element && target.closest(".tora2-stage"),
  );
  if (ours && event.touches.length > 1) event.stopPropagation();
}

/** A press of the middle button, or a move with it held. @param {PointerEvent} event */
const isMiddle = ({ button, buttons }) => button === 1 || (buttons & 4) !== 0;

/**
 * Nodes 2.0 takes the middle button for the graph on its way down to the node; over our canvases it
 * moves the view. So it is taken before, and given to the canvas under another name.
 * @param {PointerEvent} event
 */
function keepMiddle(event) {
  const { target } = event;
  if (!isMiddle(event) || !(target instanceof HTMLCanvasElement)) return;
  if (!target.closest(".tora2-editor")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.type === "pointerdown") target.setPointerCapture(event.pointerId);
  target.dispatchEvent(new PointerEvent(`${OWN}${event.type}`, event));
}

function addStyles() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./editor/editor.css", import.meta.url).href;
  document.head.append(link);
}

/** @type {import("@comfyorg/comfyui-frontend-types").ComfyExtension} */
const extension = {
  name: "Tora2.TrajectoryEditor",
  setup() {
    addStyles();
    api.addEventListener("graphChanged", followGraph);
    followZoom();
    addEventListener("touchmove", keepPinch, { capture: true, passive: true });
    addEventListener("pointerdown", endRun, { capture: true });
    addEventListener("keydown", endRunAtKey, { capture: true });
    addEventListener("keydown", takeStep, { capture: true });
    addEventListener("blur", endRun);
    for (const type of /** @type {const} */ (["pointerdown", "pointermove", "pointerup"])) {
      addEventListener(type, keepMiddle, { capture: true });
    }
  },
  beforeRegisterNodeDef(_nodeType, nodeData) {
    // A tooltip for the whole widget would hang over the canvas that is being drawn on.
    if (nodeData.name === NODE) delete nodeData.input?.required?.document?.[1]?.tooltip;
  },
  getCustomWidgets: () => ({
    [WIDGET]: (/** @type {LGraphNode} */ node, /** @type {string} */ name) => ({
      widget: createWidget(node, name),
    }),
  }),
  nodeCreated(node) {
    if (node.comfyClass === BINDING) watchBinding(node);
    if (node.comfyClass === PLACING) {
      // Room for the clip that it plays, which the classic renderer would show as a stamp.
      node.setSize([Math.max(node.size[0], 340), node.size[1] + 240]);
    }
    if (node.comfyClass !== NODE) return;
    // The stage shows what the still would, which would take its room and make the node grow.
    /** @type {any} */ (node).hideOutputImages = true;
    // The classic renderer asks for the pictures themselves.
    Object.defineProperty(node, "imgs", { get: () => undefined, set() {}, configurable: true });
    node.setSize([
      Math.max(node.size[0], INITIAL_SIZE[0]),
      Math.max(node.size[1], INITIAL_SIZE[1]),
    ]);
  },
  afterConfigureGraph: followGraph,
};

if (isFirst(extension.name, import.meta.url)) app.registerExtension(extension);
