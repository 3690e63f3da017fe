/**
 * The camera over all tracks: ready-made moves, and keys at the playhead.
 *
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../model/types.mjs").CameraKey} CameraKey
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("../labels/strings.mjs").Word} Word
 */
import {
  cameraAt,
  moveCamera,
  MOVES,
  removeCameraKey,
  setCamera,
  withoutCamera,
} from "../model/camera.mjs";
import { EASINGS } from "../model/document.mjs";
import { el } from "../view/dom.mjs";
import { createFloating, numberField } from "./floating.mjs";

/** How each value is shown. @type {readonly {key: "x" | "y" | "zoom" | "roll", unit: number, label: Word}[]} */
const FIELDS = [
  { key: "x", unit: 100, label: "cameraX" },
  { key: "y", unit: 100, label: "cameraY" },
  { key: "zoom", unit: 100, label: "cameraZoom" },
  { key: "roll", unit: 1, label: "cameraRoll" },
];

/** @param {Store} store @param {Translate} t */
export function createCamera(store, t) {
  const edit = (/** @type {import("../model/types.mjs").Doc} */ doc) => store.edit(doc);
  const moves = Object.keys(MOVES).map((name) =>
    el(
      "button",
      {
        type: "button",
        class: "tora2-chip",
        onclick: () => edit(moveCamera(store.state.doc, name)),
      },
      t(/** @type {Word} */ (`camera_${name}`)),
    ),
  );
  const fields = FIELDS.map(({ key, unit, label }) => ({
    key,
    unit,
    ...numberField(
      t(label),
      (value) => edit(setCamera(store.state.doc, store.state.frame, { [key]: value / unit })),
      {},
    ),
  }));
  const easing = el(
    "select",
    {
      class: "tora2-input",
      "aria-label": t("easing"),
      onchange: () => {
        const { doc } = store.state;
        const value = /** @type {import("../model/types.mjs").EasingName} */ (easing.value);
        if (doc.camera) edit({ ...doc, camera: { ...doc.camera, easing: value } });
      },
    },
    ...EASINGS.map((name) => el("option", { value: name }, t(`easing_${name}`))),
  );
  const keys = el("div", { class: "tora2-row" });
  const off = el(
    "button",
    { type: "button", class: "tora2-chip", onclick: () => edit(withoutCamera(store.state.doc)) },
    t("cameraOff"),
  );
  const floating = createFloating(
    t("camera"),
    t,
    () => store.set({}),
    el("div", { class: "tora2-row" }, ...moves, off),
    el("div", { class: "tora2-row" }, ...fields.map((field) => field.element), easing),
    keys,
    el("p", { class: "tora2-note" }, t("cameraNote")),
  );

  function update() {
    if (floating.element.hidden) return;
    const { doc, frame, readOnly } = store.state;
    const now = doc.camera ? cameraAt(doc.camera, frame) : { frame, x: 0, y: 0, zoom: 1, roll: 0 };
    for (const { key, unit, input } of fields) {
      if (input !== document.activeElement)
        input.value = String(Math.round(now[key] * unit * 100) / 100);
      input.disabled = readOnly;
    }
    for (const button of [...moves, off]) button.disabled = readOnly;
    off.disabled ||= !doc.camera;
    easing.disabled = readOnly || !doc.camera;
    easing.value = typeof doc.camera?.easing === "string" ? doc.camera.easing : "linear";
    keys.replaceChildren(
      ...(doc.camera?.keys ?? []).map((key) =>
        el(
          "button",
          {
            type: "button",
            class: key.frame === frame ? "tora2-chip tora2-now" : "tora2-chip",
            title: t("cameraKey"),
            onclick: (/** @type {MouseEvent} */ event) => {
              if (event.altKey) edit(removeCameraKey(store.state.doc, key.frame));
              else store.set({ frame: key.frame });
            },
          },
          `◆ ${key.frame}`,
        ),
      ),
    );
  }
  return { ...floating, update };
}
