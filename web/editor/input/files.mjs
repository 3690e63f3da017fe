/**
 * Files in and out: choosing, dropping, downloading.
 *
 * @typedef {import("./target.mjs").Target} Editor
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../formats/importing.mjs").Imported} Imported
 */
import { insert } from "../controller/edits.mjs";
import { LIMITS } from "../model/document.mjs";
import { DocumentError } from "../model/fields.mjs";
import { isLibrary, LIBRARY, readLibrary } from "../model/library.mjs";
import { el } from "../view/dom.mjs";
import { sceneBehind } from "../formats/splines.mjs";
import { checkSize } from "../formats/foreign.mjs";
import { importBytes, importText } from "../formats/importing.mjs";

const MAX_SCENE = 32 * 1024 * 1024;

/**
 * @param {string} accept
 * @param {(files: File[]) => void} take
 */
export function chooseFiles(accept, take) {
  const input = el("input", { type: "file", accept, multiple: true });
  input.addEventListener("change", () => take([...(input.files ?? [])]));
  input.click();
}

/** @param {{name: string, type: string, text: string}} file */
export function download({ name, type, text }) {
  downloadBlob(name, new Blob([text], { type }));
}

/** @param {string} name @param {Blob} blob */
export function downloadBlob(name, blob) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * Add the tracks that a text holds, or say why not.
 * @param {Editor} editor
 * @param {string} text
 */
export function takeText(editor, text) {
  void take(editor, (doc) => importText(text, doc));
}

/**
 * @param {Editor} editor
 * @param {(doc: Doc) => Imported | Promise<Imported>} read
 */
async function take({ store, status, t }, read) {
  if (store.state.readOnly) return;
  try {
    const { doc, lost } = await read(store.state.doc);
    const n = insert(store, doc);
    if (n < doc.tracks.length) status.say(t("full"));
    else if (lost) status.say(t("importedPart", { n, lost }));
    else status.say(t(n === 1 ? "importedOne" : "imported", { n }));
  } catch (error) {
    // A DOMException: the file has gone or may not be read.
    if (!(error instanceof DocumentError || error instanceof DOMException)) throw error;
    status.say(t("importFailed", { reason: error.message }));
  }
}

/** @param {Editor} editor @param {Iterable<File>} files */
export async function takeFiles(editor, files) {
  for (const file of files) {
    if (/^(image|video)\//.test(file.type) && !(await holdsPaths(file))) {
      if (!(await editor.background.show(file))) editor.status.say(editor.t("backgroundFailed"));
    } else {
      if (await takeLibrary(editor, file)) continue;
      await take(editor, async (doc) => {
        checkSize(file.size);
        return importBytes(await file.arrayBuffer(), doc);
      });
    }
  }
}

/**
 * Whether a picture is a drawing of paths, or has a scene of Spline Path Control behind it.
 * @param {File} file
 */
async function holdsPaths(file) {
  if (file.type === "image/svg+xml") return true;
  return (
    file.type === "image/png" &&
    file.size < MAX_SCENE &&
    sceneBehind(await file.arrayBuffer()) !== null
  );
}

/**
 * Keep the curves and templates that somebody has shared.
 * @param {Editor} editor
 * @param {File} file
 * @returns {Promise<boolean>} whether it is such a file
 */
async function takeLibrary({ shelf, status, t }, file) {
  if (!file.name.endsWith(".json") || file.size > LIMITS.text) return false;
  const text = await file.text();
  if (!shelf || !text.includes(LIBRARY)) return false;
  try {
    const value = JSON.parse(text);
    if (!isLibrary(value)) return false;
    await shelf.add(readLibrary(value));
    status.say(t("libraryAdded"));
  } catch (error) {
    if (!(error instanceof DocumentError || error instanceof SyntaxError)) throw error;
    status.say(t("importFailed", { reason: error.message }));
  }
  return true;
}

/**
 * The entity on whose row files are dropped.
 * @param {EventTarget | null} target
 */
function rowOf(target) {
  const row = target instanceof Element ? target.closest("[data-key^='entity:']") : null;
  return row instanceof HTMLElement ? (row.dataset.key ?? "").slice("entity:".length) : null;
}

/** @param {Editor} editor */
export function listenToDrops(editor) {
  const { element } = editor;
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  element.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  element.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const files = [...(event.dataTransfer?.files ?? [])];
    const owner = rowOf(event.target);
    const picture = files.find(({ type }) => type.startsWith("image/"));
    if (owner !== null && picture) editor.portray?.(owner, picture);
    else void takeFiles(editor, files);
  });
}
