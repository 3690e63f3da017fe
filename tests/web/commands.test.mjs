import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  COMMAND_IDS,
  COMMANDS,
  isEnabled,
  perform,
} from "../../web/editor/controller/commands.mjs";
import { handleKey, KEYS } from "../../web/editor/controller/keyboard.mjs";
import { ICONS } from "../../web/editor/labels/icons.mjs";
import { translator } from "../../web/editor/labels/strings.mjs";
import { Store } from "../../web/editor/model/store.mjs";
import { documentOf, track } from "./support.mjs";

const t = translator("en");
const HELP = readFileSync(
  new URL("../../web/docs/Tora2TrajectoryEditor.md", import.meta.url),
  "utf8",
);

/** Actions that note what is asked of the editor. */
function setup(state = {}) {
  const store = new Store(() => {});
  store.load(documentOf({ tracks: [track({ group: "g1" })] }), { tool: "select", ...state });
  const asked = [];
  const names = ["undo", "redo", "paste", "zoom", "fit", "escape"];
  const toggles = ["toggleFullscreen", "toggleSide", "toggleShortcuts"];
  const noting = [...names, ...toggles].map((name) => [name, () => asked.push(name)]);
  return { asked, actions: { store, ...Object.fromEntries(noting) } };
}

test("every command has words, its icons exist, and it does something", () => {
  for (const id of COMMAND_IDS) {
    assert.ok(t(id).length > 0);
    const { icon, label, run, theirs } = COMMANDS[id];
    const { actions, asked } = setup({ selection: new Map([["t1", new Set([1])]]) });
    const { state } = actions.store;
    if (icon) assert.ok((typeof icon === "function" ? icon(state) : icon) in ICONS, id);
    if (label) assert.ok(t(label(state)).length > 0, id);
    if (!run) assert.ok(theirs, `${id} is left to the browser`);
    const [key] = COMMANDS[id].keys ?? [""];
    if (run) perform(id, actions, key);
    assert.ok(!run || asked.length || actions.store.state !== state, `${id} does nothing`);
  }
});

test("what is pressed shows, and goes back where it toggles", () => {
  const { actions } = setup();
  for (const id of ["snap", "grid", "loop"]) {
    const before = COMMANDS[id].pressed(actions.store.state);
    perform(id, actions);
    assert.equal(COMMANDS[id].pressed(actions.store.state), !before, id);
    perform(id, actions);
    assert.equal(COMMANDS[id].pressed(actions.store.state), before, id);
  }
  perform("freehand", actions);
  const pressed = COMMAND_IDS.filter((id) => COMMANDS[id].pressed?.(actions.store.state));
  assert.deepEqual(
    pressed.filter((id) => id in { select: 1, points: 1, freehand: 1 }),
    ["freehand"],
  );
});

test("a key of a command that is not enabled is taken and does nothing", () => {
  const { actions } = setup({ readOnly: true });
  assert.equal(isEnabled("points", actions.store.state), false);
  assert.equal(handleKey(actions, { key: "p" }), true);
  assert.equal(actions.store.state.tool, "select");
  assert.equal(isEnabled("hand", actions.store.state), true);
  assert.equal(isEnabled("delete", setup().actions.store.state), false, "nothing is selected");
});

test("keys that are the host's or the browser's are left to them", () => {
  const { actions, asked } = setup();
  for (const key of ["z", "y", "c", "x", "v"]) {
    assert.equal(handleKey(actions, { key, ctrlKey: true }), false, key);
  }
  assert.deepEqual(asked, []);
  perform("undo", actions);
  assert.deepEqual(asked, ["undo"]);
});

test("the help page speaks of keys and commands that there are", () => {
  const keys = new Set(KEYS.flatMap((entry) => entry.keys));
  const named = [...HELP.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text);
  const modifier = "(?:Ctrl|Shift|Alt)";
  const name = "(?:[A-Z]|\\?|Enter|Space|Escape|Insert|Delete|Home|End|Wheel)";
  const told = named.filter((text) =>
    new RegExp(`^(?:${modifier}|(?:${modifier}\\+)*${name})$`).test(text),
  );
  assert.ok(told.length > 10);
  for (const key of told) assert.ok(keys.has(key), `the help page names ${key}`);
  const tools = [...HELP.matchAll(/\*\*([^*]+)\*\* \(`(.)`\)/g)];
  assert.equal(tools.length, 3);
  for (const [, words, key] of tools) {
    const id = COMMAND_IDS.find((each) => COMMANDS[each].keys?.includes(key));
    assert.equal(t(id), words);
  }
});
