/**
 * Numbers of what is selected, and of the clip when nothing is.
 *
 * @typedef {import("../model/types.mjs").Doc} Doc
 * @typedef {import("../model/types.mjs").Track} Track
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../model/store.mjs").State} State
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("../model/types.mjs").Forced} Forced
 */
import {
  assign,
  chosen,
  resize,
  toggleWaiting,
  update as updateSelected,
} from "../controller/edits.mjs";
import { EASINGS, LIMITS } from "../model/document.mjs";
import { clipLength } from "../model/frames.mjs";
import { bounds } from "../model/geometry.mjs";
import { editableSelection } from "../model/layers.mjs";
import { onlyPoint } from "../model/selection.mjs";
import { resized, setKey, withRange } from "../model/timing.mjs";
import { mapTracks, movePoints, selectedPoints } from "../model/tracks.mjs";
import { scaleAt } from "../model/sizes.mjs";
import { el, iconButton } from "../view/dom.mjs";
import { patchChildren } from "../view/patch.mjs";

const SHOWN = /** @type {const} */ (["doc", "selection", "entity", "sizes", "readOnly"]);

/**
 * @param {Store} store
 * @param {Translate} t
 * @param {() => Forced} forced
 * @param {() => void} openMotion shows how the selected tracks move
 */
export function createInspector(store, t, forced, openMotion) {
  const element = el("div", { class: "tora2-inspector" });
  /** @type {State | null} */
  let shown = null;
  let shownForced = "";
  function update() {
    const { state } = store;
    const nowForced = JSON.stringify(forced());
    if (shown && nowForced === shownForced && SHOWN.every((key) => shown?.[key] === state[key]))
      return;
    shown = state;
    shownForced = nowForced;
    patchChildren(element, fields(store, t, forced(), openMotion));
  }
  return { element, update };
}

/**
 * @param {Store} store
 * @param {Translate} t
 * @param {Forced} forced
 * @param {() => void} openMotion
 * @returns {HTMLElement[]}
 */
function fields(store, t, forced, openMotion) {
  const { doc, selection, readOnly } = store.state;
  const first = doc.tracks.find((track) => selection.has(track.id));
  if (!first) return clipFields(store, t, forced);
  /** @type {HTMLElement[]} */
  const result = [...placeFields(store, t)];
  const disabled = readOnly || chosen(store).length === 0;
  const edge = (/** @type {"start" | "end"} */ side, /** @type {number} */ frame) =>
    store.edit(
      mapTracks(store.state.doc, chosen(store), (track) =>
        side === "start"
          ? withRange(track, frame, track.end)
          : withRange(track, track.start, frame),
      ),
    );
  result.push(
    waiting(store, t, "before", disabled),
    number(t("start"), first.start, 0, doc.frames - 1, 1, (v) => edge("start", v), {
      disabled,
      title: `${t("start")}: ${seconds(doc, first.start)}`,
    }),
    number(t("end"), first.end, 0, doc.frames - 1, 1, (v) => edge("end", v), {
      disabled,
      title: `${t("end")}: ${seconds(doc, first.end)}`,
    }),
    waiting(store, t, "after", disabled),
    el(
      "select",
      {
        class: "tora2-input",
        "data-key": "easing",
        disabled,
        title: t("easing"),
        "aria-label": t("easing"),
        onchange: (/** @type {Event} */ event) => {
          const { value } = /** @type {HTMLSelectElement} */ (event.target);
          updateSelected(store, { easing: /** @type {Track["easing"]} */ (value) });
        },
      },
      ...EASINGS.map((easing) =>
        el("option", { value: easing, selected: easing === first.easing }, t(`easing_${easing}`)),
      ),
      typeof first.easing !== "string" &&
        el("option", { value: "own", selected: true, disabled: true }, t("easing_own")),
    ),
    iconButton("curve", t("motion"), openMotion, {
      "data-key": "motion",
      "data-action": "motion",
      disabled,
    }),
    entityPicker(store, t),
  );
  return result;
}

/** @param {Store} store @param {Translate} t */
function placeFields(store, t) {
  const { doc, selection, readOnly } = store.state;
  const points = selectedPoints(doc, selection);
  const box = bounds(points);
  if (!box) return [];
  const disabled = readOnly || chosen(store).length === 0;
  const moveTo = (/** @type {{left?: number, top?: number}} */ { left, top }) => {
    const { state } = store;
    const now = bounds(selectedPoints(state.doc, state.selection));
    if (!now) return;
    const by = {
      x: left === undefined ? 0 : left / doc.width - now.left,
      y: top === undefined ? 0 : top / doc.height - now.top,
    };
    store.edit(movePoints(state.doc, editableSelection(state), by));
  };
  const farX = LIMITS.fraction * doc.width;
  const farY = LIMITS.fraction * doc.height;
  const result = [
    number("X", round(box.left * doc.width), -farX, farX, 1, (left) => moveTo({ left }), {
      disabled,
      title: `${t("x")} (${percent(box.left)})`,
    }),
    number("Y", round(box.top * doc.height), -farY, farY, 1, (top) => moveTo({ top }), {
      disabled,
      title: `${t("y")} (${percent(box.top)})`,
    }),
  ];
  if (store.state.sizes || points.some(({ scale }) => scale !== undefined)) {
    result.push(sizeField(store, t, disabled));
  }
  const only = onlyPoint(doc, selection);
  if (only && only.index > 0 && only.index < only.track.points.length - 1) {
    const { frame } = only.track.points[only.index];
    const input = el("input", {
      class: "tora2-input tora2-number",
      type: "number",
      min: "0",
      max: String(doc.frames - 1),
      value: frame === undefined ? "" : String(frame),
      placeholder: "–",
      disabled,
      title: t("key"),
      onchange: (/** @type {Event} */ event) => {
        const field = /** @type {HTMLInputElement} */ (event.target);
        const value = field.value === "" ? null : Number(field.value);
        field.defaultValue = field.value;
        if (value === null || Number.isFinite(value)) {
          store.edit(setKey(store.state.doc, only.track.id, only.index, value));
        }
      },
    });
    result.push(labelled(t("keyShort"), input));
  }
  return result;
}

/** How large the entity is at the first selected point, in percent. @param {Store} store @param {Translate} t @param {boolean} disabled */
function sizeField(store, t, disabled) {
  const { doc, selection } = store.state;
  const track = doc.tracks.find(({ id }) => selection.has(id));
  const [index = 0] = (track && selection.get(track.id)) ?? [];
  const scale = track ? scaleAt(doc, track, index) : 1;
  const { minScale, maxScale } = LIMITS;
  const change = (/** @type {number} */ v) => resize(store, v / 100);
  return number(t("sizeShort"), round(scale * 100), minScale * 100, maxScale * 100, 5, change, {
    disabled,
    title: t("sizeHere"),
  });
}

/** Whether the selected tracks wait outside their time. @param {Store} store @param {Translate} t @param {"before" | "after"} side @param {boolean} disabled */
function waiting(store, t, side, disabled) {
  const first = store.state.doc.tracks.find((track) => store.state.selection.has(track.id));
  const word = side === "before" ? "waitBefore" : "waitAfter";
  const waits = first?.[side] === "wait";
  return iconButton(word, t(word), () => toggleWaiting(store, side), {
    "data-key": word,
    "data-action": word,
    "aria-pressed": String(waits),
    disabled,
  });
}

/** @param {number} fraction */
function percent(fraction) {
  return `${(fraction * 100).toFixed(1)} %`;
}

/** @param {Doc} doc @param {number} frame */
function seconds({ fps }, frame) {
  return `${(frame / fps).toFixed(2)} s`;
}

/** @param {Store} store @param {Translate} t @param {Forced} forced */
function clipFields(store, t, forced) {
  const { doc, readOnly } = store.state;
  const size = (/** @type {Forced} */ change) => store.edit(resized(store.state.doc, change));
  const attributes = (/** @type {keyof Forced} */ key) => ({
    disabled: readOnly || forced[key] !== undefined,
    title: forced[key] === undefined ? t(key) : `${t(key)}: ${t("fromGraph")}`,
  });
  const frames = (/** @type {number} */ v) => size({ frames: clipLength(v) });
  return [
    number(
      t("width"),
      doc.width,
      LIMITS.minSide,
      LIMITS.maxSide,
      8,
      (v) => size({ width: Math.round(v) }),
      attributes("width"),
    ),
    number(
      t("height"),
      doc.height,
      LIMITS.minSide,
      LIMITS.maxSide,
      8,
      (v) => size({ height: Math.round(v) }),
      attributes("height"),
    ),
    number(t("frames"), doc.frames, 1, LIMITS.frames, 4, frames, {
      ...attributes("frames"),
      ...(forced.frames === undefined ? { title: t("framesRule") } : {}),
    }),
    number("fps", doc.fps, 0.1, 1000, 1, (v) => store.edit({ ...store.state.doc, fps: v }), {
      disabled: readOnly,
      title: t("fps"),
    }),
  ];
}

/**
 * @param {string} label
 * @param {number} value
 * @param {number} min
 * @param {number} max
 * @param {number} step
 * @param {(value: number) => void} change
 * @param {import("../view/dom.mjs").Attributes} [attributes]
 */
function number(label, value, min, max, step, change, attributes = {}) {
  const input = el("input", {
    class: "tora2-input tora2-number",
    type: "number",
    step: "any",
    min: String(min),
    max: String(max),
    value: String(value),
    "aria-label": attributes.title ?? label,
    onchange: (/** @type {Event} */ event) => {
      const field = /** @type {HTMLInputElement} */ (event.target);
      const next = Number(field.value);
      const known = field.value !== "" && Number.isFinite(next);
      field.value = String(known ? Math.min(max, Math.max(min, next)) : value);
      field.defaultValue = field.value;
      if (known) change(Number(field.value));
    },
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
      event.preventDefault();
      const field = /** @type {HTMLInputElement} */ (event.target);
      const by = (event.key === "ArrowUp" ? step : -step) * (event.shiftKey ? 10 : 1);
      field.value = String(round(Math.min(max, Math.max(min, Number(field.value) + by))));
      field.dispatchEvent(new Event("change"));
    },
    ...attributes,
  });
  return labelled(label, input);
}

/** @param {string} label @param {HTMLElement} input */
function labelled(label, input) {
  return el("label", { class: "tora2-field", "data-key": label }, el("span", {}, label), input);
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 100) / 100;
}

/**
 * A menu to give the selected tracks to an entity.
 * @param {Store} store
 * @param {Translate} t
 */
function entityPicker(store, t) {
  const { doc, entity } = store.state;
  const chosen = doc.tracks.find((track) => store.state.selection.has(track.id));
  const value = chosen ? chosen.entity : entity;
  return el(
    "select",
    {
      class: "tora2-input",
      "data-key": "entity",
      title: t("entity"),
      "aria-label": t("entity"),
      disabled: store.state.readOnly,
      onchange: (/** @type {Event} */ event) =>
        assign(store, /** @type {HTMLSelectElement} */ (event.target).value || null),
    },
    el("option", { value: "", selected: value === null }, t("freeTracks")),
    ...doc.entities.map((e) => el("option", { value: e.id, selected: e.id === value }, e.name)),
  );
}
