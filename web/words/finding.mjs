/**
 * Where the words of entities stand in a prompt, as the server's own check finds them.
 *
 * @typedef {"found" | "missing" | "plural" | "ambiguous" | "unnamed"} Kind
 * @typedef {{name: string, word: string}} Named
 * @typedef {{name: string, word: string, kind: Kind, spans: [number, number][], rivals: string[]}} Finding
 */
const INTRODUCED = /(?<![\p{L}\p{N}_])(?:an?|one|another)\s+(?:[\p{L}\p{N}_]+\s+){0,2}$/iu;
const REACH = 80;
const NEAR = 3;

/**
 * @param {string} prompt
 * @param {Named[]} entities
 * @returns {Finding[]}
 */
export function find(prompt, entities) {
  return entities.map(({ name, word }) => finding(prompt, name, word.trim(), entities));
}

/**
 * @param {string} prompt
 * @param {string} name
 * @param {string} word
 * @param {Named[]} entities
 * @returns {Finding}
 */
function finding(prompt, name, word, entities) {
  if (!word) return { name, word, kind: "unnamed", spans: [], rivals: [] };
  const same = (/** @type {string} */ other) => key(other) === key(word);
  const rivals = entities.filter((one) => one.name !== name && same(one.word)).map((e) => e.name);
  const spans = spansOf(word, prompt);
  if (!spans.length) {
    const many = plurals(word).flatMap((form) => spansOf(form, prompt));
    return { name, word, kind: many.length ? "plural" : "missing", spans: many, rivals };
  }
  const introduced = spans.filter(([start]) =>
    INTRODUCED.test(prompt.slice(Math.max(0, start - REACH), start)),
  );
  const kind = rivals.length || introduced.length > 1 ? "ambiguous" : "found";
  return { name, word, kind, spans, rivals };
}

/**
 * Where a word stands as whole words, whatever the case and spacing.
 * @param {string} word
 * @param {string} prompt
 * @returns {[number, number][]}
 */
export function spansOf(word, prompt) {
  const parts = word.split(/\s+/).filter(Boolean);
  if (!parts.length) return [];
  const escaped = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"));
  const whole = `(?<![\\p{L}\\p{N}_])${escaped.join("\\s+")}(?![\\p{L}\\p{N}_])`;
  return [...prompt.matchAll(new RegExp(whole, "giu"))].map((match) => [
    match.index,
    match.index + match[0].length,
  ]);
}

/**
 * Regular English plurals that a word may have.
 * @param {string} word
 */
export function plurals(word) {
  const forms = [`${word}s`];
  if (/(?:s|x|z|ch|sh|o)$/i.test(word)) forms.push(`${word}es`);
  if (/[^aeiou]y$/i.test(word)) forms.push(`${word.slice(0, -1)}ies`);
  if (/fe?$/i.test(word)) forms.push(word.replace(/fe?$/i, "ves"));
  if (/man$/i.test(word)) forms.push(`${word.slice(0, -3)}men`);
  return forms;
}

/**
 * The words of a prompt around a span, which is set in brackets.
 * @param {string} prompt
 * @param {[number, number]} span
 */
export function around(prompt, [start, end]) {
  const words = (/** @type {string} */ text) => text.split(/\s+/).filter(Boolean);
  const before = words(prompt.slice(Math.max(0, start - REACH), start));
  const after = words(prompt.slice(end, end + REACH));
  const shown = [before.slice(-NEAR).join(" "), `[${prompt.slice(start, end)}]`];
  const text = [...shown, after.slice(0, NEAR).join(" ")].join(" ").trim();
  return `${before.length > NEAR ? "… " : ""}${text}${after.length > NEAR ? " …" : ""}`;
}

/** @param {string} name */
export function key(name) {
  return name.trim().toLowerCase();
}
