/**
 * Files in and out: choosing, dropping, downloading.
 *
 * @typedef {import("./target.mjs").Target} Editor
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../formats/importing.mjs").Imported} Imported
 */
import { insert } from "../controller/edits.mjs";
import { DocumentError } from "../model/fields.mjs";
import { el } from "../view/dom.mjs";
import { checkSize } from "../formats/foreign.mjs";
import { importBytes, importText } from "../formats/importing.mjs";

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
  const url = URL.createObjectURL(new Blob([text], { type }));
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
    if (/^(image|video)\//.test(file.type)) {
      if (!(await editor.background.show(file))) editor.status.say(editor.t("backgroundFailed"));
    } else {
      await take(editor, async (doc) => {
        checkSize(file.size);
        return importBytes(await file.arrayBuffer(), doc);
      });
    }
  }
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
    void takeFiles(editor, event.dataTransfer?.files ?? []);
  });
}
