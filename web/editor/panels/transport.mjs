/**
 * Play, loop and scrub: the buttons beside the timeline, the timeline's canvas, and the clock.
 *
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("../view/theme.mjs").Theme} Theme
 */
import { measure, prepare } from "../view/canvas.mjs";
import { goTo } from "../controller/edits.mjs";
import { el, iconButton, setPressed } from "../view/dom.mjs";
import { listen } from "../input/pointers.mjs";
import { ROW, rowsOf, RULER } from "../controller/timelinehit.mjs";
import { TimelineController } from "../controller/timelinecontrol.mjs";
import { paintTimeline } from "../view/timelineview.mjs";

/**
 * @param {Store} store
 * @param {Translate} t
 * @param {HTMLElement} status shown beside the clock
 */
export function createTransport(store, t, status) {
  const canvas = el("canvas", {
    class: "tora2-timeline",
    "aria-label": t("timeline"),
    role: "img",
  });
  const play = iconButton("play", `${t("play")} (Space)`, () => togglePlay(store), {
    "data-action": "play",
  });
  const pause = iconButton("pause", `${t("pause")} (Space)`, () => togglePlay(store));
  const loop = iconButton("loop", t("loop"), () => store.set({ loop: !store.state.loop }));
  const clock = el("output", { class: "tora2-clock" });
  const element = el(
    "div",
    { class: "tora2-transport" },
    el(
      "div",
      { class: "tora2-bar" },
      iconButton("first", `${t("firstFrame")} (Home)`, () => goTo(store, 0)),
      play,
      pause,
      iconButton("last", `${t("lastFrame")} (End)`, () => goTo(store, Infinity)),
      loop,
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
    const { playing, frame, doc } = store.state;
    play.hidden = playing;
    pause.hidden = !playing;
    setPressed(loop, store.state.loop);
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

/** @param {Store} store */
export function togglePlay(store) {
  const { playing, frame, doc, loop } = store.state;
  const restart = !playing && !loop && frame === doc.frames - 1;
  store.set({ playing: !playing, hover: null, ...(restart ? { frame: 0 } : {}) });
}

/**
 * Advance the playhead in real time while playing.
 * @param {Store} store
 */
export function createClock(store) {
  let began = 0;
  let from = 0;
  let ticking = false;
  /** @param {number} time */
  function tick(time) {
    const { playing, doc, loop } = store.state;
    if (!playing) {
      ticking = false;
      return;
    }
    if (began === 0) began = time;
    const frame = from + Math.floor(((time - began) / 1000) * doc.fps);
    if (frame >= doc.frames && !loop) store.set({ frame: doc.frames - 1, playing: false });
    else if (frame % doc.frames !== store.state.frame) store.set({ frame: frame % doc.frames });
    requestAnimationFrame(tick);
  }
  store.subscribe(({ playing, frame }) => {
    if (!playing || ticking) return;
    ticking = true;
    began = 0;
    from = frame;
    requestAnimationFrame(tick);
  });
}
