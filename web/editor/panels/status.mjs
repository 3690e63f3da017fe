/**
 * What the editor says: a banner for documents that cannot be edited, a line of hints and warnings,
 * and announcements for screen readers.
 *
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("../model/types.mjs").Forced} Forced
 */
import { LIMITS } from "../model/document.mjs";
import { tooFast } from "../model/sampling.mjs";
import { onlyPoint } from "../model/selection.mjs";
import { selectedPoints, titleOf } from "../model/tracks.mjs";
import { el, icon } from "../view/dom.mjs";

const SPOKEN_FOR_MS = 5000;

/**
 * @param {Store} store
 * @param {Translate} t
 * @param {() => Forced} refused sizes of the graph that no video can have
 */
export function createStatus(store, t, refused) {
  const text = el("span", {});
  const live = el("span", { class: "tora2-spoken", "aria-live": "polite" });
  const element = el("div", { class: "tora2-status" }, text, live);
  const message = el("span", {});
  const banner = el(
    "div",
    { class: "tora2-banner", role: "alert", hidden: true },
    icon("warning"),
    message,
  );
  let told = false;
  let said = "";
  let until = 0;

  function update() {
    const { state } = store;
    banner.hidden = state.message === null;
    setText(message, state.message ?? "");
    const fast = state.doc.tracks.filter((track) => tooFast(track, state.doc)).map(titleOf);
    const warning = refusal(refused(), t) || (fast.length ? tooFastWords(fast, t) : "");
    const speaking = performance.now() < until;
    element.classList.toggle("tora2-warn", !speaking && warning !== "");
    setText(text, speaking ? said : warning || hint(store, t));
    text.title = text.textContent ?? "";
    // What is selected is told when it changes, not when a graph of editors is opened.
    if (state.doc === store.settled && (told || state.selection.size)) {
      told = true;
      setText(live, announcement(store, t));
    }
  }
  /** @param {string} words */
  function say(words) {
    said = words;
    until = performance.now() + SPOKEN_FOR_MS;
    store.set({});
    setTimeout(() => store.set({}), SPOKEN_FOR_MS + 50);
  }
  return { element, banner, update, say };
}

/** @param {string[]} fast names @param {Translate} t */
function tooFastWords(fast, t) {
  return t("tooFast", { tracks: fast.slice(0, 6).join(", ") });
}

/** @param {Forced} refused @param {Translate} t */
function refusal(refused, t) {
  const [first] = /** @type {[keyof Forced, number][]} */ (Object.entries(refused));
  if (!first) return "";
  const [name, value] = first;
  const sides = { low: LIMITS.minSide, high: LIMITS.maxSide };
  const rule = name === "frames" ? t("framesRule") : t("sideRule", sides);
  return t("refusedSize", { name: t(name), value, rule });
}

/** @param {Store} store @param {Translate} t */
function hint({ state }, t) {
  if (state.readOnly) return "";
  if (state.drawing) return t("hintDrawing");
  const n = selectedPoints(state.doc, state.selection).length;
  if (n === 1) return t("selectedOne");
  return n ? t("selected", { n }) : "";
}

/** @param {Store} store @param {Translate} t */
function announcement({ state: { doc, selection } }, t) {
  const point = onlyPoint(doc, selection);
  if (point) {
    const { track, index } = point;
    const { x, y } = track.points[index];
    return t("announcePoint", {
      id: titleOf(track),
      i: index + 1,
      n: track.points.length,
      x: Math.round(x * doc.width),
      y: Math.round(y * doc.height),
    });
  }
  const tracks = doc.tracks.filter((track) => selection.has(track.id));
  if (!tracks.length) return t("announceNothing");
  return tracks
    .slice(0, 3)
    .map((track) => {
      const { points, start, end } = track;
      return t("announceTrack", { id: titleOf(track), n: points.length, start, end });
    })
    .join("; ");
}

/** @param {Element} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
