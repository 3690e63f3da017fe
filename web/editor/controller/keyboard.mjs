/**
 * The keys, as one table that the shortcuts panel lists too. Undo and redo are not in it: they are
 * the host's own keys and the host's own history.
 *
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {{store: Store, fit(): void, zoom(factor: number): void, play(): void,
 *   fullscreen(): void, shortcuts(): void, escape(): void}} Actions
 * @typedef {{keys: string[], label: string, run: (actions: Actions, key: string) => void}} Binding
 */
import * as commands from "./edits.mjs";
import { finish } from "./stagecontrol.mjs";

const TURN = Math.PI / 12;
/** @type {Record<string, [number, number]>} */
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {import("../model/store.mjs").Tool} tool @returns {Binding["run"]} */
function toolSetter(tool) {
  return ({ store }) => store.set({ tool, drawing: null, cursor: null });
}

/** @type {Binding["run"]} */
function nudge({ store }, key) {
  const [dx, dy] = STEP[key.replace("Shift+", "")];
  const by = key.startsWith("Shift+") ? 10 : 1;
  commands.nudge(store, { x: dx * by, y: dy * by });
}

/** @type {readonly Binding[]} */
export const BINDINGS = Object.freeze([
  { keys: ["V"], label: "select", run: toolSetter("select") },
  { keys: ["P"], label: "points", run: toolSetter("points") },
  { keys: ["B"], label: "freehand", run: toolSetter("freehand") },
  { keys: ["A"], label: "anchor", run: toolSetter("anchor") },
  { keys: ["H"], label: "hand", run: toolSetter("hand") },
  { keys: ["Enter"], label: "finish", run: ({ store }) => finish(store) },
  { keys: ["Escape"], label: "cancel", run: (actions) => actions.escape() },
  { keys: ["Delete", "Backspace"], label: "delete", run: ({ store }) => commands.remove(store) },
  { keys: ["Ctrl+A"], label: "selectAll", run: ({ store }) => commands.selectAll(store) },
  { keys: ["Ctrl+D"], label: "duplicate", run: ({ store }) => commands.duplicate(store) },
  {
    keys: Object.keys(STEP).flatMap((key) => [key, `Shift+${key}`]),
    label: "nudge",
    run: nudge,
  },
  {
    keys: ["Insert", "Shift+Enter"],
    label: "addPoint",
    run: ({ store }) => commands.addPoint(store),
  },
  { keys: ["N"], label: "nextPoint", run: ({ store }) => commands.cyclePoint(store, 1) },
  { keys: ["Shift+N"], label: "previousPoint", run: ({ store }) => commands.cyclePoint(store, -1) },
  { keys: ["C"], label: "curve", run: ({ store }) => commands.toggleCurve(store) },
  {
    keys: ["X"],
    label: "mirrorX",
    run: ({ store }) => commands.transformSelection(store, { scaleX: -1 }),
  },
  {
    keys: ["Y"],
    label: "mirrorY",
    run: ({ store }) => commands.transformSelection(store, { scaleY: -1 }),
  },
  {
    keys: ["E"],
    label: "rotateRight",
    run: ({ store }) => commands.transformSelection(store, { angle: TURN }),
  },
  {
    keys: ["Shift+E"],
    label: "rotateLeft",
    run: ({ store }) => commands.transformSelection(store, { angle: -TURN }),
  },
  {
    keys: ["]"],
    label: "larger",
    run: ({ store }) => commands.transformSelection(store, { scaleX: 1.1, scaleY: 1.1 }),
  },
  {
    keys: ["["],
    label: "smaller",
    run: ({ store }) => commands.transformSelection(store, { scaleX: 1 / 1.1, scaleY: 1 / 1.1 }),
  },
  { keys: ["D"], label: "reverse", run: ({ store }) => commands.reverse(store) },
  { keys: ["M"], label: "simplify", run: ({ store }) => commands.simplifySelection(store) },
  { keys: ["Space"], label: "play", run: (actions) => actions.play() },
  {
    keys: [","],
    label: "previousFrame",
    run: ({ store }) => commands.goTo(store, store.state.frame - 1),
  },
  {
    keys: ["."],
    label: "nextFrame",
    run: ({ store }) => commands.goTo(store, store.state.frame + 1),
  },
  { keys: ["Home"], label: "firstFrame", run: ({ store }) => commands.goTo(store, 0) },
  { keys: ["End"], label: "lastFrame", run: ({ store }) => commands.goTo(store, Infinity) },
  { keys: ["K"], label: "tieKey", run: ({ store }) => commands.toggleKey(store) },
  { keys: ["I"], label: "trimStart", run: ({ store }) => commands.trim(store, "start") },
  { keys: ["O"], label: "trimEnd", run: ({ store }) => commands.trim(store, "end") },
  { keys: ["Alt+ArrowLeft"], label: "earlier", run: ({ store }) => commands.shiftTime(store, -1) },
  { keys: ["Alt+ArrowRight"], label: "later", run: ({ store }) => commands.shiftTime(store, 1) },
  {
    keys: ["G"],
    label: "grid",
    run: ({ store }) => store.set({ grid: store.state.grid ? 0 : 12 }),
  },
  { keys: ["S"], label: "snap", run: ({ store }) => store.set({ snap: !store.state.snap }) },
  { keys: ["+", "="], label: "zoomIn", run: (actions) => actions.zoom(1.25) },
  { keys: ["-"], label: "zoomOut", run: (actions) => actions.zoom(0.8) },
  { keys: ["0"], label: "fit", run: (actions) => actions.fit() },
  { keys: ["F"], label: "fullscreen", run: (actions) => actions.fullscreen() },
  { keys: ["?"], label: "shortcuts", run: (actions) => actions.shortcuts() },
]);

/** What the shortcuts panel adds: keys of the host, and what a held key does to the pointer. */
export const NOTES = Object.freeze([
  { keys: ["Ctrl+Z"], label: "undo" },
  { keys: ["Ctrl+Y", "Ctrl+Shift+Z"], label: "redo" },
  { keys: ["Ctrl+C"], label: "copy" },
  { keys: ["Ctrl+X"], label: "cut" },
  { keys: ["Ctrl+V"], label: "pasteClipboard" },
  { keys: ["Shift"], label: "axis" },
  { keys: ["Ctrl"], label: "noSnap" },
  { keys: ["Alt"], label: "insertPoint" },
  { keys: ["Wheel"], label: "wheelZoom" },
  { keys: ["Shift+Wheel"], label: "sideways" },
  { keys: ["Middle button"], label: "middlePan" },
]);

/** @type {Map<string, Binding>} */
const BY_KEY = new Map(BINDINGS.flatMap((binding) => binding.keys.map((key) => [key, binding])));

/**
 * A key event in the table's words. Shift is part of a letter's or a named key's combination, but
 * not of a sign that is typed with it.
 * @param {{key: string, ctrlKey: boolean, metaKey: boolean, shiftKey: boolean, altKey: boolean}} event
 */
export function comboOf({ key, ctrlKey, metaKey, shiftKey, altKey }) {
  const name = key === " " ? "Space" : key.length === 1 ? key.toUpperCase() : key;
  const sign = name.length === 1 && name.toLowerCase() === name;
  const parts = [];
  if (ctrlKey || metaKey) parts.push("Ctrl");
  if (altKey) parts.push("Alt");
  if (shiftKey && !sign) parts.push("Shift");
  return [...parts, name].join("+");
}

/**
 * @param {Actions} actions
 * @param {Parameters<typeof comboOf>[0]} event
 * @returns {boolean} whether the key was ours
 */
export function handleKey(actions, event) {
  const key = comboOf(event);
  const binding = BY_KEY.get(key);
  binding?.run(actions, key);
  return binding !== undefined;
}
