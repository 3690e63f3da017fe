/**
 * Play, loop and scrub: the timeline's canvas, the buttons above it, and the time.
 *
 * @typedef {import("../controller/commands.mjs").Actions} Actions
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("../view/theme.mjs").Theme} Theme
 */
import { TimelineController } from "../controller/timelinecontrol.mjs";
import { ROW, rowsOf, RULER } from "../controller/timelinehit.mjs";
import { listen } from "../input/pointers.mjs";
import { measure, prepare } from "../view/canvas.mjs";
import { el } from "../view/dom.mjs";
import { paintTimeline } from "../view/timelineview.mjs";
import { createButtons } from "./buttons.mjs";

/**
 * @param {Actions} actions
 * @param {Translate} t
 * @param {HTMLElement} status shown beside the time
 */
export function createTransport(actions, t, status) {
  const { store } = actions;
  const canvas = el("canvas", {
    class: "tora2-timeline",
    "aria-label": t("timeline"),
    role: "img",
  });
  const { button, update: updateButtons } = createButtons(actions, t);
  const clock = el("output", { class: "tora2-clock" });
  const element = el(
    "div",
    { class: "tora2-transport" },
    el(
      "div",
      { class: "tora2-bar" },
      button("firstFrame"),
      button("play"),
      button("lastFrame"),
      button("loop"),
      clock,
      status,
    ),
    canvas,
  );

  let scroll = 0;
  const strip = () => ({ width: canvas.clientWidth, height: canvas.clientHeight, scroll });
  listen(canvas, new TimelineController(store, strip), {
    wheel(event) {
      const most = rowsOf(store.state).length * ROW + RULER - canvas.clientHeight;
      if (most <= 0) return false;
      scroll = Math.min(most, Math.max(0, scroll + event.deltaY));
      store.set({});
      return true;
    },
  });

  function update() {
    updateButtons();
    const { frame, doc } = store.state;
    const text = `${frame} / ${doc.frames - 1} · ${(frame / doc.fps).toFixed(2)} s`;
    if (clock.textContent !== text) clock.textContent = text;
  }
  /**
   * @param {import("../view/canvas.mjs").Size} size
   * @param {Theme} theme
   * @param {import("../model/motion.mjs").Motion} motion
   */
  function paint(size, theme, motion) {
    const context = prepare(canvas, size);
    if (!context) return;
    const most = Math.max(0, rowsOf(store.state).length * ROW + RULER - size.height);
    scroll = Math.min(scroll, most);
    paintTimeline(context, store.state, theme, { ...size, scroll }, motion);
  }
  return { element, update, paint, measure: () => measure(canvas) };
}
