/**
 * The menu of a point or a track, under the pointer that asks for it.
 *
 * @typedef {import("../controller/commands.mjs").Actions} Actions
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("./sections.mjs").Section} Section
 * @typedef {import("./sections.mjs").Item} Item
 * @typedef {Actions & {t: Translate, openMotion(): void, nameTrack(id: string): void}} Owner
 */
import { hasTiming, resize } from "../controller/edits.mjs";
import { onlyPoint } from "../model/selection.mjs";
import { titleOf } from "../model/tracks.mjs";
import { el } from "../view/dom.mjs";
import { commandItem, sectionElement, stepThrough } from "./sections.mjs";

const SIZES = [0.5, 1, 1.5, 2];

/** @param {Owner} editor @param {() => HTMLElement} around */
export function createContext(editor, around) {
  const element = el("div", { class: "tora2-menu tora2-context", role: "menu", hidden: true });
  element.addEventListener("keydown", (event) => stepThrough(element, event));

  function close() {
    const was = !element.hidden;
    element.hidden = true;
    return was;
  }
  /**
   * @param {{clientX: number, clientY: number}} event
   */
  function open({ clientX, clientY }) {
    const sections = sectionsOf(editor);
    if (!sections.length) return;
    element.replaceChildren(...sections.map((section) => sectionElement(section, close)));
    element.hidden = false;
    const box = around().getBoundingClientRect();
    const zoom = box.width / around().offsetWidth || 1;
    const { offsetWidth, offsetHeight } = element;
    const within = (/** @type {number} */ at, /** @type {number} */ room) =>
      Math.max(4, Math.min(at, room - 4));
    const x = within((clientX - box.left) / zoom, around().offsetWidth - offsetWidth);
    const y = within((clientY - box.top) / zoom, around().offsetHeight - offsetHeight);
    element.style.left = `${x}px`;
    element.style.top = `${y}px`;
    /** @type {HTMLElement | null} */ (element.querySelector("button:enabled"))?.focus({
      preventScroll: true,
    });
  }
  /** @param {EventTarget | null} target */
  function dismiss(target) {
    if (!(target instanceof Node && element.contains(target))) close();
  }
  return { element, open, close, dismiss };
}

/** @param {Owner} editor @returns {Section[]} */
function sectionsOf(editor) {
  const { store, t } = editor;
  const { doc, selection } = store.state;
  const first = doc.tracks.find((track) => selection.has(track.id));
  if (!first) return [];
  const item = (/** @type {Parameters<typeof commandItem>[1]} */ id) => commandItem(editor, id);
  const only = onlyPoint(doc, selection);
  const inner = only && only.index > 0 && only.index < only.track.points.length - 1;
  /** @type {Item[]} */
  const point = [...(inner ? [item("tieKey")] : []), item("handles"), item("addPoint")];
  const paste = { ...item("pasteTiming"), disabled: !hasTiming() || store.state.readOnly };
  return [
    { title: only ? t("point", { i: only.index + 1 }) : t("points_"), items: point },
    {
      title: t("sizeHere"),
      inline: true,
      items: [
        ...SIZES.map((scale) => ({
          label: `${scale * 100} %`,
          run: () => {
            store.set({ sizes: true });
            resize(store, scale);
          },
        })),
        { label: t("sizeNone"), run: () => resize(store, null) },
      ],
    },
    {
      title: titleOf(first),
      items: [
        { label: t("nameTrack"), run: () => editor.nameTrack(first.id) },
        { label: t("motion"), run: () => editor.openMotion() },
        item("waitBefore"),
        item("waitAfter"),
        item("copyTiming"),
        paste,
        item("duplicate"),
        item("reverse"),
        ...(first.group ? [item("ungroup")] : []),
        item("delete"),
      ],
    },
  ];
}
