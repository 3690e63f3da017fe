/**
 * What a binding node is wired to, as far as the graph tells. Reads the graph, changes nothing.
 *
 * @typedef {import("./checking.mjs").Binding} Binding
 * @typedef {import("./checking.mjs").Layer} Layer
 * @typedef {import("./finding.mjs").Named} Named
 * @typedef {{name: string, value: unknown}} Widget
 * @typedef {{type?: string, comfyClass?: string, mode?: number, widgets?: Widget[],
 *   inputs?: {name: string, type?: unknown, link?: unknown}[],
 *   outputs?: {type?: unknown}[],
 *   getInputNode(slot: number): Node | null, getOutputNodes(slot: number): Node[] | null}} Node
 */
const FAR = 64;
const TEXTS = ["text", "value", "prompt", "string"];

/**
 * @param {Node} bind
 * @returns {Binding}
 */
export function bindingOf(bind) {
  const slots = (bind.inputs ?? []).flatMap((input, slot) =>
    input.name.startsWith("entities.") && input.link != null ? [slot] : [],
  );
  const entities = slots.map((slot) => entityOf(bind.getInputNode(slot)));
  const paths = inputNode(bind, "trajectories");
  const prompt = inputNode(bind, "prompt");
  return {
    entities,
    layers: paths ? layersOf(paths) : null,
    prompt: prompt ? textOf(prompt) : sampledPrompt(bind),
  };
}

/**
 * @param {Node | null} node
 * @returns {Named | null}
 */
function entityOf(node) {
  for (let step = 0; node && step < FAR; step++) {
    if (kindOf(node) === "Tora2EncodeEntity") {
      const [word, name] = ["word", "name"].map((input) => stringOf(/** @type {Node} */ (node), input));
      return word === null || name === null ? null : { word, name };
    }
    node = inputNode(node, "entity");
  }
  return null;
}

/**
 * A string input of a node: its widget, or the text that is wired to it.
 * @param {Node} node
 * @param {string} name
 * @returns {string | null}
 */
function stringOf(node, name) {
  const origin = inputNode(node, name);
  if (origin) return textOf(origin);
  const value = node.widgets?.find((widget) => widget.name === name)?.value;
  return typeof value === "string" ? value : null;
}

/**
 * @param {Node} node
 * @returns {Layer[] | null}
 */
function layersOf(node) {
  if (kindOf(node) !== "Tora2TrajectoryEditor") return null;
  const doc = /** @type {any} */ (node.widgets?.find((w) => w.name === "document")?.value);
  if (!Array.isArray(doc?.entities) || !Array.isArray(doc?.tracks)) return null;
  return doc.entities.map((/** @type {any} */ entity) => ({
    id: String(entity.id),
    name: String(entity.name ?? entity.id),
    paths: doc.tracks.filter((/** @type {any} */ track) => track.entity === entity.id).length,
  }));
}

/**
 * The text that a node gives, when it has but one.
 * @param {Node} node
 * @returns {string | null}
 */
function textOf(node) {
  for (const name of TEXTS) {
    const text = stringOf(node, name);
    if (text !== null) return text;
  }
  return null;
}

/**
 * The prompt of the sampler that the binding ends in.
 * @param {Node} bind
 * @returns {string | null}
 */
function sampledPrompt(bind) {
  const seen = new Set();
  let queue = [bind];
  while (queue.length && seen.size < FAR) {
    const node = queue.shift();
    if (!node || seen.has(node)) continue;
    seen.add(node);
    const positive = node === bind ? null : inputNode(node, "positive");
    if (positive) return promptBehind(positive);
    queue.push(...(node.outputs ?? []).flatMap((_, slot) => node.getOutputNodes(slot) ?? []));
  }
  return null;
}

/**
 * @param {Node} start
 * @returns {string | null}
 */
function promptBehind(start) {
  /** @type {Node | null} */
  let node = start;
  for (let step = 0; node && step < FAR; step++) {
    const text = textOf(node);
    if (text !== null) return text;
    node = inputNode(node, "positive") ?? inputNode(node, "conditioning");
  }
  return null;
}

/** @param {Node} node */
function kindOf(node) {
  return node.comfyClass ?? node.type;
}

/**
 * @param {Node} node
 * @param {string} name
 * @returns {Node | null}
 */
function inputNode(node, name) {
  const slot = node.inputs?.findIndex((input) => input.name === name) ?? -1;
  return slot < 0 ? null : node.getInputNode(slot);
}
