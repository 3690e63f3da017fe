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
import { allPoints } from "../model/selection.mjs";
import { measure, prepare } from "../view/canvas.mjs";
import { el } from "../view/dom.mjs";
import { paintTimeline } from "../view/timelineview.mjs";
import { createButtons } from "./buttons.mjs";

/** Of the timeline, and of what it leaves to the stage, css. */
const LEAST = RULER + 2 * ROW;
const LEAST_STAGE = 100;

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
  const edge = createEdge(canvas, t);
  const element = el(
    "div",
    { class: "tora2-transport" },
    edge,
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

  /** @type {import("../model/types.mjs").Selection | null} */
  let shown = null;
  /** Scroll to the first selected row when another selection has it out of sight. */
  function follow() {
    const { state } = store;
    if (shown === state.selection) return;
    shown = state.selection;
    const rows = rowsOf(state);
    const row = rows.findIndex((track) => state.selection.has(track.id));
    const chosen = rows.filter((track) => state.selection.has(track.id)).length;
    if (row < 0 || chosen === rows.length) return;
    const room = canvas.clientHeight - RULER - ROW;
    scroll = Math.min(row * ROW, Math.max(scroll, row * ROW - room));
  }

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
    follow();
    const most = Math.max(0, rowsOf(store.state).length * ROW + RULER - size.height);
    scroll = Math.min(scroll, most);
    paintTimeline(context, store.state, theme, { ...size, scroll }, motion);
  }
  /** Select the track whose row an event is over. @param {{clientY: number}} event */
  function choose({ clientY }) {
    const box = canvas.getBoundingClientRect();
    const y = ((clientY - box.top) * canvas.clientHeight) / (box.height || 1);
    const track = rowsOf(store.state)[Math.floor((y - RULER + scroll) / ROW)];
    if (y < RULER || !track) return;
    if (store.state.selection.has(track.id)) return;
    store.set({ selection: new Map([[track.id, allPoints(track)]]), entity: track.entity });
  }
  return { element, canvas, update, paint, choose, measure: () => measure(canvas) };
}

/**
 * The edge above the timeline, which is dragged, or moved by arrow keys, for more rows.
 * @param {HTMLCanvasElement} canvas
 * @param {Translate} t
 */
function createEdge(canvas, t) {
  const edge = el("div", {
    class: "tora2-edge",
    role: "separator",
    tabIndex: 0,
    title: t("timelineHeight"),
    "aria-label": t("timelineHeight"),
    "aria-orientation": "horizontal",
  });
  const grow = (/** @type {number} */ height) => {
    const editor = /** @type {HTMLElement | null} */ (edge.closest(".tora2-editor"));
    const room = (editor?.querySelector(".tora2-body")?.clientHeight ?? 0) - LEAST_STAGE;
    const most = Math.max(LEAST, canvas.clientHeight + room);
    const rows = Math.round(Math.min(most, Math.max(LEAST, height)));
    editor?.style.setProperty("--tora2-rows", `${rows}px`);
  };
  edge.addEventListener("pointerdown", (start) => {
    if (start.button !== 0) return;
    const before = canvas.clientHeight;
    const zoom = canvas.getBoundingClientRect().height / before || 1;
    const move = (/** @type {PointerEvent} */ event) =>
      grow(before + (start.clientY - event.clientY) / zoom);
    if (start.isTrusted) edge.setPointerCapture(start.pointerId);
    edge.addEventListener("pointermove", move);
    edge.addEventListener(
      "lostpointercapture",
      () => edge.removeEventListener("pointermove", move),
      {
        once: true,
      },
    );
  });
  edge.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    event.stopPropagation();
    grow(canvas.clientHeight + (event.key === "ArrowUp" ? ROW : -ROW));
  });
  return edge;
}
