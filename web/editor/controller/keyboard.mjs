/**
 * The keys of the commands: which of them an event means, and the list of all.
 *
 * @typedef {import("../labels/strings.mjs").Word} Word
 * @typedef {import("./commands.mjs").Actions} Actions
 * @typedef {import("./commands.mjs").CommandId} CommandId
 */
import { COMMAND_IDS, COMMANDS, perform } from "./commands.mjs";

/** @type {Map<string, CommandId>} */
const BY_KEY = new Map(
  COMMAND_IDS.filter((id) => !COMMANDS[id].theirs).flatMap((id) =>
    (COMMANDS[id].keys ?? []).map((key) => [key, id]),
  ),
);

/** What a held key or a wheel does to the pointer. @type {readonly {keys: string[], label: Word}[]} */
const POINTER = [
  { keys: ["Shift"], label: "axis" },
  { keys: ["Ctrl"], label: "noSnap" },
  { keys: ["Alt"], label: "insertPoint" },
  { keys: ["Wheel"], label: "wheelZoom" },
  { keys: ["Shift+Wheel"], label: "sideways" },
  { keys: ["Middle button"], label: "middlePan" },
];

/** Every key and what it does. @type {readonly {keys: readonly string[], label: Word}[]} */
export const KEYS = Object.freeze([
  ...COMMAND_IDS.map((id) => ({ keys: COMMANDS[id].keys ?? [], label: id })),
  ...POINTER,
]).filter(({ keys }) => keys.length);

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
  const id = BY_KEY.get(key);
  if (id) perform(id, actions, key);
  return id !== undefined;
}
