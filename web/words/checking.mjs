/**
 * What there is to say of a binding before it runs: words and the prompt, entities and layers.
 *
 * @typedef {import("./finding.mjs").Named} Named
 * @typedef {{id: string, name: string, paths: number}} Layer
 * @typedef {{entities: (Named | null)[], layers: Layer[] | null, prompt: string | null}} Binding
 *   an entity is null, and so are layers and prompt, where the graph does not tell
 * @typedef {{warning: boolean, text: string}} Line
 * @typedef {(word: keyof typeof WORDS, values?: Record<string, string | number>) => string} Say
 */
import { around, find, key } from "./finding.mjs";

/** @satisfies {Record<string, [string, string]>} */
export const WORDS = {
  found: ["'{word}' is in the prompt: {where}", "“{word}”在提示词中：{where}"],
  missing: ["'{word}' is not in the prompt", "提示词中没有“{word}”"],
  plural: [
    "'{word}' is in the prompt only as a plural: {where}",
    "“{word}”在提示词中只有复数形式：{where}",
  ],
  ambiguous: [
    "'{word}' is introduced more than once in the prompt: {where}",
    "提示词多次引入“{word}”：{where}",
  ],
  shared: ["'{word}' is the word of {others} too", "“{word}”也是 {others} 的词"],
  unnamed: ["{name} has no word", "{name} 没有词"],
  drawnNowhere: [
    "no layer of the paths is called '{name}', so it has no path",
    "路径中没有名为“{name}”的图层，因此它没有路径",
  ],
  nobodys: [
    "the layer '{name}' has paths but no entity with pictures",
    "图层“{name}”有路径，但没有带图片的实体",
  ],
  entity: ["entity {n}", "实体 {n}"],
};

/**
 * @param {string} language
 * @returns {Say}
 */
export function sayer(language) {
  const place = language.startsWith("zh") ? 1 : 0;
  return (word, values = {}) =>
    WORDS[word][place].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/**
 * @param {Binding} binding
 * @param {Say} say
 * @returns {Line[]}
 */
export function check({ entities, layers, prompt }, say) {
  const known = entities
    .map((one, n) => one && { ...one, name: one.name || one.word || say("entity", { n: n + 1 }) })
    .filter((one) => one !== null);
  if (!entities.length) return [];
  /** @type {Line[]} */
  const lines = [];
  if (prompt !== null) {
    for (const finding of find(prompt, known)) {
      const { word, name, kind, spans, rivals } = finding;
      const where = spans.length ? `“${around(prompt, spans[0])}”` : "";
      const shared = kind === "ambiguous" && rivals.length;
      const text = say(shared ? "shared" : kind, { word, name, where, others: rivals.join(", ") });
      lines.push({ warning: kind !== "found", text });
    }
  }
  if (!layers) return lines;
  const drawn = new Set(layers.flatMap((layer) => [key(layer.id), key(layer.name)]));
  const given = new Set(known.map((one) => key(one.name)));
  for (const { name } of known) {
    if (!drawn.has(key(name))) lines.push({ warning: true, text: say("drawnNowhere", { name }) });
  }
  if (known.length < entities.length) return lines;
  for (const { id, name, paths } of layers) {
    const owned = given.has(key(id)) || given.has(key(name));
    if (paths && !owned) lines.push({ warning: true, text: say("nobodys", { name }) });
  }
  return lines;
}
