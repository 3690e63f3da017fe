/**
 * Copy, cut and paste through the browser's own events, between editors and other programs. What is
 * copied is a trajectory document of the selected tracks.
 *
 * @typedef {import("./target.mjs").Target} Target
 */
import { chosen, insert, remove } from "../controller/edits.mjs";
import { read } from "../formats/reading.mjs";
import { extract } from "../model/merging.mjs";
import { takeFiles, takeText } from "./files.mjs";

/** @param {Target} editor */
export function listenToClipboard(editor) {
  const { element, store } = editor;
  const copy = (/** @type {ClipboardEvent} */ event) => {
    if (isTyping(event)) return event.stopPropagation();
    const ids = chosen(store);
    if (!ids.length) return;
    event.clipboardData?.setData("text/plain", JSON.stringify(extract(store.state.doc, ids)));
    if (event.type === "cut") remove(store);
    event.preventDefault();
    event.stopPropagation();
  };
  element.addEventListener("copy", copy);
  element.addEventListener("cut", copy);
  element.addEventListener("paste", (event) => {
    event.stopPropagation();
    if (isTyping(event)) return;
    event.preventDefault();
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) void takeFiles(editor, files);
    else pasteText(editor, event.clipboardData?.getData("text/plain") ?? "");
  });
}

/** @param {Target} editor @param {string} text */
export function pasteText(editor, text) {
  const reading = text ? read(text) : null;
  if (reading?.kind === "document" && !editor.store.state.readOnly) {
    insert(editor.store, reading.document, true);
  } else if (text) {
    takeText(editor, text);
  }
}

/** @param {Event} event */
function isTyping({ target }) {
  return target instanceof Element && target.matches("input, textarea");
}
