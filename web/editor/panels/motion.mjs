/**
 * How the selected tracks move: their easing as a curve, over the speed that comes of it, with what
 * people keep for later.
 *
 * @typedef {import("../model/types.mjs").Easing} Easing
 * @typedef {import("../model/types.mjs").EasingCurve} EasingCurve
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("./shelf.mjs").Shelf} Shelf
 */
import { chosen, firstChosen, update as updateSelected } from "../controller/edits.mjs";
import { EASINGS } from "../model/document.mjs";
import { handlesOf } from "../model/easing.mjs";
import { measure, prepare } from "../view/canvas.mjs";
import { el } from "../view/dom.mjs";
import { easingPlace, paintEasing } from "../view/easingview.mjs";
import { themeOf } from "../view/theme.mjs";
import { listen } from "../input/pointers.mjs";
import { PressController } from "../controller/pressing.mjs";
import { updateTracks } from "../model/tracks.mjs";
import { createFloating, numberField } from "./floating.mjs";

const STEP = 0.05;

/** @param {Store} store @param {Translate} t @param {Shelf} shelf */
export function createMotion(store, t, shelf) {
  const canvas = el("canvas", {
    class: "tora2-easing",
    tabIndex: 0,
    role: "img",
    "aria-label": t("easingCurve"),
  });
  const easingOf = () => firstChosen(store.state)?.easing ?? "linear";
  const set = (/** @type {Easing} */ easing) => updateSelected(store, { easing });
  listen(canvas, new EasingController(store, canvas, easingOf), {});
  canvas.addEventListener("keydown", (event) => {
    const step = {
      ArrowLeft: [-STEP, 0],
      ArrowRight: [STEP, 0],
      ArrowUp: [0, STEP],
      ArrowDown: [0, -STEP],
    }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const handles = [...handlesOf(easingOf())];
    const at = event.shiftKey ? 2 : 0;
    handles[at] = unit(handles[at] + step[0]);
    handles[at + 1] = unit(handles[at + 1] + step[1]);
    set(/** @type {EasingCurve} */ (handles));
  });
  const presets = el("select", {
    class: "tora2-input",
    "aria-label": t("easing"),
    onchange: () => {
      const saved = shelf.library.easings.find(({ name }) => `saved:${name}` === presets.value);
      if (saved) set(saved.easing);
      else if (presets.value !== "own") set(/** @type {Easing} */ (presets.value));
    },
  });
  const keep = el(
    "button",
    {
      type: "button",
      class: "tora2-chip",
      onclick: () =>
        shelf.ask(t("presetName"), (name) =>
          shelf.add({ easings: [{ name, easing: handlesOf(easingOf()) }], templates: [] }),
        ),
    },
    t("keepEasing"),
  );
  const tension = numberField(t("tension"), (v) => updateSelected(store, { tension: bounded(v) }), {
    title: t("tensionHelp"),
    min: "-100",
    max: "100",
  });
  const bounded = (/** @type {number} */ v) => Math.min(1, Math.max(-1, v / 100));
  const floating = createFloating(
    t("motionTitle"),
    t,
    (open) => store.set({ speeds: open }),
    canvas,
    el("div", { class: "tora2-row" }, presets, keep, tension.element),
    el("p", { class: "tora2-note" }, t("motionNote")),
  );

  function update() {
    if (floating.element.hidden) return;
    const { doc, readOnly } = store.state;
    const track = firstChosen(store.state);
    const disabled = readOnly || chosen(store).length === 0;
    for (const field of [presets, keep, tension.input]) field.disabled = disabled;
    tension.input.disabled ||= track?.curve !== "spline";
    if (tension.input !== document.activeElement) {
      tension.input.value = String(Math.round((track?.tension ?? 0) * 100));
    }
    const easing = easingOf();
    const names = shelf.library.easings;
    const same = names.find((saved) => String(saved.easing) === String(easing));
    const value = typeof easing === "string" ? easing : same ? `saved:${same.name}` : "own";
    const options = [
      ...EASINGS.map((name) => /** @type {[string, string]} */ ([name, t(`easing_${name}`)])),
      ...names.map(({ name }) => /** @type {[string, string]} */ ([`saved:${name}`, name])),
      /** @type {[string, string]} */ (["own", t("easing_own")]),
    ];
    presets.replaceChildren(
      ...options.map(([key, words]) =>
        el("option", { value: key, selected: key === value }, words),
      ),
    );
    presets.value = value;
    const size = measure(canvas);
    const context = size && prepare(canvas, size);
    if (context) paintEasing(context, size, themeOf(canvas), easing, track, doc);
  }
  return { ...floating, update };
}

/** @param {number} value */
function unit(value) {
  return Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
}

/** Drags the nearer of the two handles. */
class EasingController extends PressController {
  /** @param {Store} store @param {HTMLCanvasElement} canvas @param {() => Easing} easing */
  constructor(store, canvas, easing) {
    super();
    this.store = store;
    this.canvas = canvas;
    this.easing = easing;
  }

  /** @param {import("../controller/gestures.mjs").Press} press */
  begin(press) {
    const { store } = this;
    const ids = chosen(store);
    if (press.button !== 0 || !ids.length) return null;
    const from = store.state.doc;
    const before = handlesOf(this.easing());
    const size = { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
    const start = easingPlace(size, press.css);
    const off = (/** @type {number} */ i) =>
      Math.hypot(before[i] - start.x, before[i + 1] - start.y);
    const at = off(0) <= off(2) ? 0 : 2;
    const show = (/** @type {import("../controller/gestures.mjs").Press} */ { css }) => {
      const { x, y } = easingPlace(size, css);
      const handles = /** @type {EasingCurve} */ ([...before]);
      handles[at] = unit(x);
      handles[at + 1] = unit(y);
      store.preview(updateTracks(from, ids, { easing: handles }));
    };
    show(press);
    return { move: show, up: () => store.edit(), cancel: () => store.revert() };
  }
}
