/**
 * Files in and out: choosing, dropping, downloading.
 *
 * @typedef {import("./editor.mjs").Editor} Editor
 */
import { insert } from "./commands.mjs";
import { LIMITS } from "./document.mjs";
import { DocumentError } from "./fields.mjs";
import { el } from "./dom.mjs";
import { importText } from "./importing.mjs";

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
 * @returns {boolean} whether it was taken
 */
export function takeText(editor, text) {
  const { store, status, t } = editor;
  if (store.state.readOnly) return false;
  try {
    const fragment = importText(text, store.state.doc);
    const n = insert(store, fragment);
    status.say(n < fragment.tracks.length ? t("full") : t("imported", { n }));
    return n > 0;
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    status.say(t("importFailed", { reason: error.message }));
    return false;
  }
}

/** @param {Editor} editor @param {Iterable<File>} files */
export async function takeFiles(editor, files) {
  for (const file of files) {
    if (/^(image|video)\//.test(file.type)) {
      if (!(await editor.background.show(file))) editor.status.say(editor.t("backgroundFailed"));
    } else if (file.size > LIMITS.text) {
      const reason = `${file.size} bytes, expected at most ${LIMITS.text}`;
      editor.status.say(editor.t("importFailed", { reason }));
    } else {
      takeText(editor, await file.text());
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
