/**
 * What lies upstream of a node in the graph: sizes, pictures, masks. Reads the graph, changes nothing.
 *
 * @typedef {import("./editor/view/background.mjs").Source} Source
 * @typedef {import("./editor/model/types.mjs").Forced} Forced
 * @typedef {{filename: string, subfolder?: string, type?: string}} FileRef
 * @typedef {{name: string, value: unknown}} Widget
 * @typedef {{inputs?: {name: string, type?: unknown}[], widgets?: Widget[], imgs?: {src: string}[],
 *   getInputNode(slot: number): Node | null}} Node
 * @typedef {Record<string, any>} Run what the last run of the node told the page
 */
import { LIMITS } from "./editor/model/document.mjs";
import { isClipLength } from "./editor/model/frames.mjs";

const FAR = 32;
const CUT_OUT = "Tora2CutOut";
const isSide = (/** @type {number} */ px) =>
  Number.isInteger(px) && px >= LIMITS.minSide && px <= LIMITS.maxSide;
const isLength = (/** @type {number} */ frames) => frames <= LIMITS.frames && isClipLength(frames);
const SIZES = Object.freeze({ width: isSide, height: isSide, frames: isLength });
const PICTURE = /\.(png|jpe?g|webp|gif|bmp|avif)(\s*\[\w+\])?$/i;
const VIDEO = /\.(mp4|webm|mov|mkv|m4v)(\s*\[\w+\])?$/i;

/**
 * The sizes that connected inputs set, as far as they can be known: from a constant upstream, else
 * from the last run.
 * @param {any} node
 * @param {Run} run
 * @returns {Forced}
 */
export function forcedSizes(node, run) {
  return sizes(node, run, true);
}

/**
 * The sizes among them that no video can have, so that a run will refuse them.
 * @param {any} node
 * @param {Run} run
 * @returns {Forced}
 */
export function refusedSizes(node, run) {
  return sizes(node, run, false);
}

/**
 * @param {any} node
 * @param {Run} run
 * @param {boolean} possible
 */
function sizes(node, run, possible) {
  /** @type {Forced} */
  const result = {};
  for (const name of /** @type {(keyof typeof SIZES)[]} */ (Object.keys(SIZES))) {
    const origin = inputNode(node, name);
    if (!origin) continue;
    const value = constantOf(origin) ?? run.tora2_size?.[0]?.[name];
    if (typeof value === "number" && SIZES[name](value) === possible) result[name] = value;
  }
  return result;
}

/**
 * The number that a node passes on, when it has but one.
 * @param {Node} origin
 * @returns {number | undefined}
 */
function constantOf(origin) {
  const numbers = (origin.widgets ?? []).filter((widget) => typeof widget.value === "number");
  const named = numbers.filter((widget) => widget.name === "value");
  const [only, ...others] = named.length ? named : numbers;
  if (only && !others.length && !origin.inputs?.some((_, slot) => origin.getInputNode(slot))) {
    return Number(only.value);
  }
  return undefined;
}

/**
 * Pictures for the background: what the last run sent, else the nearest file or preview upstream.
 * @param {any} node
 * @param {Run} run
 * @param {(file: FileRef) => string} viewUrl
 * @returns {Source}
 */
export function sourceOf(node, run, viewUrl) {
  const urls = (/** @type {unknown} */ files) =>
    Array.isArray(files) ? files.filter((file) => file?.filename).map(viewUrl) : [];
  const background = inputNode(node, "background");
  const upstream = background ? nearest(background, viewUrl) : { frames: [], video: null };
  const sent = background ? urls(run.tora2_background) : [];
  const masks = inputNode(node, "masks") ? urls(run.tora2_masks) : [];
  if (upstream.video || !sent.length) return { ...upstream, masks };
  return { frames: sent, video: null, masks };
}

/**
 * The pictures of entities, by their words in small letters: of every node of the graph that has a
 * word and a picture, such as Tora2 Encode Entity.
 * @param {any} node
 * @param {(file: FileRef) => string} viewUrl
 * @returns {Record<string, string>}
 */
export function portraitsOf(node, viewUrl) {
  /** @type {Record<string, string>} */
  const result = {};
  for (const other of node.graph?.nodes ?? []) {
    const word = other.widgets?.find(
      (/** @type {Widget} */ widget) => widget.name === "word",
    )?.value;
    if (typeof word !== "string" || !word || other === node) continue;
    const [picture] = nearest(other, viewUrl).frames;
    if (picture) result[word.toLowerCase()] = picture;
  }
  return result;
}

/**
 * The cut-outs of the graph. What one says of its own picture is not known here, as the space around
 * the thing is cut off in a run.
 * @param {any} node
 * @returns {import("./editor/model/sizes.mjs").CutOut[]}
 */
export function cutOutsOf(node) {
  const found = (node.graph?.nodes ?? []).filter((/** @type {any} */ { type }) => type === CUT_OUT);
  return found.map((/** @type {Node} */ { widgets }) => {
    const told = Object.fromEntries((widgets ?? []).map(({ name, value }) => [name, value]));
    const { name, size_start: start, size_end: end, size_of } = /** @type {any} */ (told);
    const known = start > 0 && end > 0 && size_of === "frame height";
    return { name: String(name ?? "").trim(), heights: known ? { start, end } : null };
  });
}

/**
 * @param {Node} origin
 * @param {(file: FileRef) => string} viewUrl
 * @returns {{frames: string[], video: string | null}}
 */
function nearest(origin, viewUrl) {
  const seen = new Set();
  let queue = [origin];
  while (queue.length && seen.size < FAR) {
    const node = queue.shift();
    if (!node || seen.has(node)) continue;
    seen.add(node);
    for (const { value } of node.widgets ?? []) {
      if (typeof value !== "string") continue;
      if (VIDEO.test(value)) return { frames: [], video: viewUrl(fileRef(value)) };
      if (PICTURE.test(value)) return { frames: [viewUrl(fileRef(value))], video: null };
    }
    if (node.imgs?.length) return { frames: node.imgs.map((image) => image.src), video: null };
    const inputs = (node.inputs ?? []).map((input, slot) => ({ type: input.type, slot }));
    const visual = inputs.filter(
      ({ type }) => type === "IMAGE" || type === "VIDEO" || type === "*",
    );
    queue.push(
      .../** @type {Node[]} */ (visual.map(({ slot }) => node.getInputNode(slot)).filter(Boolean)),
    );
  }
  return { frames: [], video: null };
}

/**
 * `folder/name.png [output]`, as file widgets write it.
 * @param {string} text
 * @returns {FileRef}
 */
function fileRef(text) {
  const [, path, type = "input"] = /^(.*?)(?:\s*\[(\w+)\])?$/.exec(text) ?? [];
  const cut = path.lastIndexOf("/");
  return { filename: path.slice(cut + 1), subfolder: path.slice(0, Math.max(0, cut)), type };
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
