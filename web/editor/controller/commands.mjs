/**
 * Every command, once: the keys, the buttons, the menu and the list of keys are made from this
 * table. The name of a command is also the name of its words.
 *
 * @typedef {import("../labels/strings.mjs").Word} Word
 * @typedef {import("../labels/icons.mjs").IconName} IconName
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../model/store.mjs").Tool} Tool
 *
 * What commands ask of an editor: its state, and what is beyond it.
 * @typedef {{store: Store, undo(): void, redo(): void, paste(): void, zoom(factor: number): void, fit(): void,
 *   escape(): void, toggleFullscreen(): void, toggleSide(): void, toggleShortcuts(): void}} Actions
 *
 * `label`: what a button says, where that changes; `theirs`: the keys belong to the host or the
 * browser, which also do what they stand for; `pressed` and `enabled` are for buttons, and a command
 * that is not enabled does nothing.
 * @typedef {{
 *   keys?: readonly string[],
 *   theirs?: boolean,
 *   icon?: IconName | ((state: State) => IconName),
 *   label?: (state: State) => Word,
 *   pressed?: (state: State) => boolean,
 *   enabled?: (state: State) => boolean,
 *   run?: (actions: Actions, key: string) => void,
 * }} Command
 */
import * as edits from "./edits.mjs";

/** @type {Record<string, [number, number]>} */
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TURN = Math.PI / 12;
const GROW = 1.1;
const ZOOM = 1.25;
/** Cells across the width, when the grid is on. */
const GRID = 12;

/** @param {Tool} name @param {string} key @returns {Command} */
function tool(name, key) {
  return {
    keys: [key],
    icon: name,
    pressed: (state) => state.tool === name,
    enabled: (state) => !state.readOnly || name === "select" || name === "hand",
    run: ({ store }) => store.set({ tool: name, drawing: null, cursor: null }),
  };
}

/**
 * A command for the selected tracks that may be changed.
 * @param {readonly string[]} keys
 * @param {(store: Store) => void} edit
 * @returns {Command}
 */
function selected(keys, edit) {
  return {
    keys,
    enabled: (state) => edits.chosen({ state }).length > 0,
    run: ({ store }) => edit(store),
  };
}

/** @param {string} key @param {Parameters<typeof edits.transformSelection>[1]} by */
function transform(key, by) {
  return selected([key], (store) => edits.transformSelection(store, by));
}

/** @param {Store} store @param {string} key */
function nudge(store, key) {
  const [dx, dy] = STEP[key.replace("Shift+", "")];
  const by = key.startsWith("Shift+") ? 10 : 1;
  edits.nudge(store, { x: dx * by, y: dy * by });
}

/** @param {State} state @returns {"play" | "pause"} */
const playOrPause = (state) => (state.playing ? "pause" : "play");

const table = /** @satisfies {Partial<Record<Word, Command>>} */ ({
  select: tool("select", "V"),
  points: tool("points", "P"),
  freehand: tool("freehand", "B"),
  anchor: tool("anchor", "A"),
  spread: tool("spread", "R"),
  hand: tool("hand", "H"),
  finish: { keys: ["Enter"], run: ({ store }) => edits.finish(store) },
  cancel: { keys: ["Escape"], run: (actions) => actions.escape() },
  delete: selected(["Delete", "Backspace"], edits.remove),
  selectAll: { keys: ["Ctrl+A"], run: ({ store }) => edits.selectAll(store) },
  duplicate: selected(["Ctrl+D"], edits.duplicate),
  nudge: {
    keys: Object.keys(STEP).flatMap((key) => [key, `Shift+${key}`]),
    run: ({ store }, key) => nudge(store, key),
  },
  addPoint: { keys: ["Insert", "Shift+Enter"], run: ({ store }) => edits.addPoint(store) },
  nextPoint: { keys: ["N"], run: ({ store }) => edits.cyclePoint(store, 1) },
  previousPoint: { keys: ["Shift+N"], run: ({ store }) => edits.cyclePoint(store, -1) },
  curve: {
    keys: ["C"],
    icon: edits.curveOf,
    run: ({ store }) => edits.toggleCurve(store),
  },
  mirrorX: transform("X", { scaleX: -1 }),
  mirrorY: transform("Y", { scaleY: -1 }),
  rotateRight: transform("E", { angle: TURN }),
  rotateLeft: transform("Shift+E", { angle: -TURN }),
  larger: transform("]", { scaleX: GROW, scaleY: GROW }),
  smaller: transform("[", { scaleX: 1 / GROW, scaleY: 1 / GROW }),
  reverse: selected(["D"], edits.reverse),
  handles: selected(["Q"], edits.toggleHandles),
  ungroup: {
    keys: ["U"],
    enabled: (state) => edits.isGrouped(state),
    run: ({ store }) => edits.ungroup(store),
  },
  waitBefore: {
    ...selected(["Shift+I"], (store) => edits.toggleWaiting(store, "before")),
    icon: "waitBefore",
    pressed: (state) => edits.firstChosen(state)?.before === "wait",
  },
  waitAfter: {
    ...selected(["Shift+O"], (store) => edits.toggleWaiting(store, "after")),
    icon: "waitAfter",
    pressed: (state) => edits.firstChosen(state)?.after === "wait",
  },
  copyTiming: selected(["Alt+C"], edits.copyTiming),
  pasteTiming: selected(["Alt+V"], edits.pasteTiming),
  simplify: selected(["M"], edits.simplifySelection),
  play: {
    keys: ["Space"],
    icon: playOrPause,
    label: playOrPause,
    run: ({ store }) => edits.togglePlay(store),
  },
  loop: {
    icon: "loop",
    pressed: (state) => state.loop,
    run: ({ store }) => store.set({ loop: !store.state.loop }),
  },
  previousFrame: { keys: [","], run: ({ store }) => edits.goTo(store, store.state.frame - 1) },
  nextFrame: { keys: ["."], run: ({ store }) => edits.goTo(store, store.state.frame + 1) },
  firstFrame: { keys: ["Home"], icon: "first", run: ({ store }) => edits.goTo(store, 0) },
  lastFrame: { keys: ["End"], icon: "last", run: ({ store }) => edits.goTo(store, Infinity) },
  tieKey: { keys: ["K"], run: ({ store }) => edits.toggleKey(store) },
  trimStart: selected(["I"], (store) => edits.trim(store, "start")),
  trimEnd: selected(["O"], (store) => edits.trim(store, "end")),
  earlier: selected(["Alt+ArrowLeft"], (store) => edits.shiftTime(store, -1)),
  later: selected(["Alt+ArrowRight"], (store) => edits.shiftTime(store, 1)),
  grid: {
    keys: ["G"],
    icon: "grid",
    pressed: (state) => state.grid > 0,
    run: ({ store }) => store.set({ grid: store.state.grid ? 0 : GRID }),
  },
  snap: {
    keys: ["S"],
    icon: "snap",
    pressed: (state) => state.snap,
    run: ({ store }) => store.set({ snap: !store.state.snap }),
  },
  sizes: {
    keys: ["Z"],
    icon: "sizes",
    pressed: (state) => state.sizes,
    run: ({ store }) => store.set({ sizes: !store.state.sizes }),
  },
  zoomIn: { keys: ["+", "="], run: (actions) => actions.zoom(ZOOM) },
  zoomOut: { keys: ["-"], run: (actions) => actions.zoom(1 / ZOOM) },
  fit: { keys: ["0"], icon: "fit", run: (actions) => actions.fit() },
  layers: { icon: "layers", run: (actions) => actions.toggleSide() },
  fullscreen: { keys: ["F"], icon: "fullscreen", run: (actions) => actions.toggleFullscreen() },
  shortcuts: { keys: ["?"], run: (actions) => actions.toggleShortcuts() },
  undo: { keys: ["Ctrl+Z"], theirs: true, icon: "undo", run: (actions) => actions.undo() },
  redo: {
    keys: ["Ctrl+Y", "Ctrl+Shift+Z"],
    theirs: true,
    icon: "redo",
    run: (actions) => actions.redo(),
  },
  copy: { keys: ["Ctrl+C"], theirs: true },
  cut: { keys: ["Ctrl+X"], theirs: true },
  pasteClipboard: { keys: ["Ctrl+V"], theirs: true, run: (actions) => actions.paste() },
});

/** @typedef {keyof typeof table} CommandId */
/** @type {Readonly<Record<CommandId, Command>>} */
export const COMMANDS = Object.freeze(table);
export const COMMAND_IDS = /** @type {CommandId[]} */ (Object.keys(COMMANDS));

/** @param {CommandId} id @param {State} state */
export function isEnabled(id, state) {
  return COMMANDS[id].enabled?.(state) ?? true;
}

/**
 * @param {CommandId} id
 * @param {Actions} actions
 * @param {string} [key] the combination that was pressed, for a command of several
 */
export function perform(id, actions, key = "") {
  if (isEnabled(id, actions.store.state)) COMMANDS[id].run?.(actions, key);
}
