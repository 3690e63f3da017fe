/**
 * What people keep for later: easing curves and templates, kept by the host for all workflows, and
 * shared as files. And the one question that keeping asks: a name.
 *
 * @typedef {import("../model/library.mjs").Library} Library
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {{load(): Promise<unknown>, save(value: unknown): Promise<void>}} Storage
 * @typedef {ReturnType<typeof createShelf>} Shelf
 */
import { isName, LIMITS } from "../model/document.mjs";
import { DocumentError } from "../model/fields.mjs";
import { EMPTY, readLibrary, united, written } from "../model/library.mjs";
import { el } from "../view/dom.mjs";

/**
 * @param {() => Storage | undefined} storage
 * @param {Translate} t
 * @param {() => void} changed
 */
export function createShelf(storage, t, changed) {
  const input = el("input", { class: "tora2-input", type: "text", maxLength: LIMITS.name });
  const label = el("span", {});
  /** @type {((name: string) => void) | null} */
  let answer = null;
  const element = el(
    "form",
    {
      class: "tora2-floating tora2-ask",
      hidden: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const name = input.value.trim();
        element.hidden = true;
        if (isName(name)) answer?.(name);
      },
    },
    el("label", { class: "tora2-field" }, label, input),
    el("button", { type: "submit", class: "tora2-chip" }, t("keep")),
  );
  let loaded = false;
  const shelf = {
    element,
    /** @type {Library} */
    library: EMPTY,
    /** Read what is kept, once. */
    async open() {
      if (loaded) return;
      loaded = true;
      try {
        const value = await storage()?.load();
        if (value) shelf.library = united(readLibrary(value), shelf.library);
      } catch (error) {
        if (!(error instanceof DocumentError)) throw error;
        console.warn(`Tora2: the kept presets could not be read: ${error.message}`);
      }
      changed();
    },
    /** @param {Library} more */
    async add(more) {
      await shelf.open();
      shelf.library = united(shelf.library, more);
      await storage()?.save(written(shelf.library));
      changed();
    },
    /** @param {string} question @param {(name: string) => void} then */
    ask(question, then) {
      label.textContent = question;
      input.value = "";
      answer = then;
      element.hidden = false;
      input.focus();
    },
    close() {
      const was = !element.hidden;
      element.hidden = true;
      return was;
    },
  };
  return shelf;
}
