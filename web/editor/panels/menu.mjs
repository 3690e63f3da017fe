/**
 * The menu behind the three dots: edit, templates, background, import, export.
 *
 * @typedef {import("../controller/commands.mjs").Actions} Actions
 * @typedef {import("../controller/commands.mjs").CommandId} CommandId
 * @typedef {import("../labels/strings.mjs").Word} Word
 * @typedef {import("../input/target.mjs").Target & Actions & {raw: unknown, follow(): void,
 *   port: {setFit(fit: import("../model/fitting.mjs").Fit): void},
 *   portraits(): import("../view/canvas.mjs").Portraits, shelf: import("./shelf.mjs").Shelf}} Owner
 * @typedef {import("./sections.mjs").Item} Item
 * @typedef {import("./sections.mjs").Section} Section
 */
import { COMMANDS, isEnabled, perform } from "../controller/commands.mjs";
import { anchorOutside, insert, trackEach } from "../controller/edits.mjs";
import { EXPORTS } from "../formats/exporting.mjs";
import { written } from "../formats/writing.mjs";
import { chooseFiles, download, takeFiles } from "../input/files.mjs";
import { emptyDocument } from "../model/document.mjs";
import { DocumentError } from "../model/fields.mjs";
import { FITS } from "../model/fitting.mjs";
import { written as libraryValue } from "../model/library.mjs";
import { extract } from "../model/merging.mjs";
import { wholeTracks } from "../model/selection.mjs";
import { TEMPLATES } from "../model/templates.mjs";
import { addTrack } from "../model/tracks.mjs";
import { el } from "../view/dom.mjs";
import { record } from "./recording.mjs";
import { commandItem, sectionElement, stepThrough } from "./sections.mjs";

const IMPORTS = ".json,.txt,.csv,.tsv,.npz,.npy,.pth,.pt,.svg";
/** How many points the spread tool may set. */
const COUNTS = [3, 5, 9];
const EDITS = /** @type {const} */ ([
  "duplicate",
  "mirrorX",
  "mirrorY",
  "reverse",
  "simplify",
  "delete",
]);

/** @param {Owner} editor */
export function createMenu(editor) {
  const element = el("div", { class: "tora2-menu", role: "menu", hidden: true });
  /** @type {HTMLElement | null} */
  let opener = null;

  function close() {
    const was = !element.hidden;
    element.hidden = true;
    opener?.setAttribute("aria-expanded", "false");
    return was;
  }
  /** @param {HTMLElement} button */
  function toggle(button) {
    if (close()) return;
    opener = button;
    void editor.shelf.open();
    const sections = editor.store.state.message === null ? sectionsOf(editor) : rescue(editor);
    element.replaceChildren(...sections.map((section) => sectionElement(section, close)));
    element.hidden = false;
    button.setAttribute("aria-expanded", "true");
    /** @type {HTMLElement | null} */ (element.querySelector("button:enabled"))?.focus();
  }
  /** Close on a press elsewhere. @param {EventTarget | null} target */
  function dismiss(target) {
    if (target instanceof Node && (element.contains(target) || opener?.contains(target))) return;
    close();
  }
  element.addEventListener("keydown", (event) => stepThrough(element, event));
  return { element, toggle, close, dismiss };
}

/** @param {import("../model/library.mjs").Library} library */
function libraryFile(library) {
  const text = JSON.stringify(libraryValue(library), null, 1);
  return { name: "tora2-presets.json", type: "application/json", text };
}

/** @param {Owner} editor @returns {Section[]} */
function sectionsOf(editor) {
  const { t } = editor;
  const item = (/** @type {CommandId} */ id) => commandItem(editor, id);
  return [
    { title: t("edit"), items: EDITS.map(item) },
    { title: t("templates"), items: templateItems(editor) },
    { title: t("fromMasks"), items: maskItems(editor) },
    { title: t("background"), items: backgroundItems(editor) },
    {
      title: t("import"),
      items: [
        {
          label: t("importFile"),
          run: () => chooseFiles(IMPORTS, (files) => void takeFiles(editor, files)),
        },
        item("pasteClipboard"),
      ],
    },
    { title: t("exportAs"), items: exportItems(editor) },
    { title: t("shortcuts"), items: [item("shortcuts")] },
  ];
}

/** @param {Owner} editor @returns {Item[]} */
function templateItems({ store, t, status, shelf }) {
  const leader = store.state.doc.tracks.find((track) => store.state.selection.has(track.id));
  const add = (/** @type {import("../model/templates.mjs").Draft} */ draft) => {
    const { doc, entity } = store.state;
    const added = addTrack(doc, { entity, ...draft });
    if (!added) return status.say(t("full"));
    store.edit(added.doc, {
      selection: wholeTracks(added.doc, [added.id]),
      tool: "select",
      drawing: null,
    });
  };
  return [
    ...Object.entries(TEMPLATES.figures).map(([name, make]) => ({
      label: t(/** @type {Word} */ (`template_${name}`)),
      run: () => add(make(store.state.doc)),
    })),
    ...Object.entries(TEMPLATES.companions).map(([name, make]) => ({
      label: t(/** @type {Word} */ (`template_${name}`)),
      disabled: !leader,
      run: () => leader && add(make(store.state.doc, leader)),
    })),
    ...shelf.library.templates.map(({ name, document: kept }) => ({
      label: name,
      run: () => void insert(store, kept),
    })),
    {
      label: t("keepTemplate"),
      disabled: !leader,
      run: () =>
        shelf.ask(t("presetName"), (name) => {
          const kept = extract(store.state.doc, store.state.selection.keys());
          void shelf.add({ easings: [], templates: [{ name, document: kept }] });
        }),
    },
  ];
}

/** @param {Owner} editor @returns {Item[]} */
function maskItems({ store, t, background }) {
  const { doc, frame, readOnly, spread } = store.state;
  const masks = background.cells(doc, frame);
  return [
    {
      label: t(masks ? "anchorsOutside" : "anchorsAround"),
      disabled: readOnly,
      run: () => anchorOutside(store, masks),
    },
    {
      label: t("trackPerMask"),
      disabled: readOnly || !masks,
      run: () => masks && trackEach(store, masks),
    },
    ...COUNTS.map((n) => ({
      label: t("spreadCount", { n }),
      chosen: n === spread,
      run: () => store.set({ spread: n, tool: "spread" }),
    })),
  ];
}

/** @param {Owner} editor @returns {Item[]} */
function backgroundItems(editor) {
  const { t, background } = editor;
  return [
    {
      label: t("chooseBackground"),
      run: () => chooseFiles("image/*,video/*", (files) => void takeFiles(editor, files)),
    },
    { label: t("refreshBackground"), run: () => editor.follow() },
    { label: t("clearBackground"), run: () => background.clear() },
    ...FITS.map((fit) => ({
      label: t(`fit_${fit}`),
      chosen: fit === background.fit,
      run: () => {
        editor.port.setFit(fit);
        editor.follow();
      },
    })),
  ];
}

/** @param {Owner} editor @returns {Item[]} */
function exportItems(editor) {
  const { store, t, status, shelf } = editor;
  const copy = () =>
    navigator.clipboard?.writeText(JSON.stringify(store.state.doc)).then(
      () => status.say(t("copied")),
      () => {},
    );
  return [
    {
      label: t("exportVideo"),
      disabled: !store.state.doc.tracks.length,
      run: () => void record(editor),
    },
    {
      label: t("exportLibrary"),
      disabled: !shelf.library.easings.length && !shelf.library.templates.length,
      run: () => download(libraryFile(shelf.library)),
    },
    ...Object.entries(EXPORTS).map(([name, write]) => ({
      label: t(/** @type {Word} */ (name)),
      disabled: !store.state.doc.tracks.length,
      run: () => {
        try {
          write(store.state.doc).forEach(download);
        } catch (error) {
          if (!(error instanceof DocumentError)) throw error;
          status.say(error.message);
        }
      },
    })),
    { label: t("copyDocument"), run: () => void copy() },
  ];
}

/** What can be done with a value that is no document of ours. @param {Owner} editor @returns {Section[]} */
function rescue(editor) {
  const { store, t } = editor;
  const text = typeof editor.raw === "string" ? editor.raw : written(editor.raw);
  return [
    {
      title: t("exportAs"),
      items: [
        {
          label: t("exportOriginal"),
          run: () => download({ name: "original.txt", type: "text/plain", text }),
        },
        {
          label: t("startOver"),
          run: () => {
            store.set({ readOnly: false, message: null });
            store.edit(emptyDocument());
          },
        },
      ],
    },
  ];
}
