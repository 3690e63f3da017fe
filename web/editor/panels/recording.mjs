/**
 * The paths over their background as a video, as the browser records it: MP4 where it can, else WebM.
 *
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 */
import { motionOf } from "../model/motion.mjs";
import { NOTHING } from "../model/selection.mjs";
import { downloadBlob } from "../input/files.mjs";
import { el } from "../view/dom.mjs";
import { paintStage, pathLayers } from "../view/stageview.mjs";
import { themeOf } from "../view/theme.mjs";

const TYPES = ["video/mp4", "video/webm"];
/** Pixels a side at most. */
const SIDE = 1280;

/** A page that is not seen has no frames to wait for. */
const HIDDEN_MS = 500;
/** Time for the picture that a stream takes unasked. */
const UNASKED_MS = 100;
/** How long a frame waits for its background; a server that is gone gives none. */
const LOADING_MS = 3000;

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));
/** Resolves when what was painted is on its way to the screen. */
const shown = () => Promise.race([nextFrame().then(nextFrame), pause(HIDDEN_MS)]);

/**
 * @param {{store: Store, t: Translate, status: {say(words: string): void}, element: HTMLElement,
 *   background: import("../view/background.mjs").Background,
 *   portraits(): import("../view/canvas.mjs").Portraits}} editor
 */
export async function record(editor) {
  const { store, t, status, element, background } = editor;
  const type = TYPES.find((each) => globalThis.MediaRecorder?.isTypeSupported(each));
  if (!type) return status.say(t("cannotRecord"));
  const { doc } = store.state;
  const scale = Math.min(1, SIDE / Math.max(doc.width, doc.height));
  const even = (/** @type {number} */ side) => 2 * Math.max(1, Math.round((side * scale) / 2));
  const size = { width: even(doc.width), height: even(doc.height) };
  const canvas = el("canvas", size);
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) return;
  const layers = pathLayers(() => el("canvas"));
  const paint = (/** @type {number} */ frame) => {
    const state = { ...store.state, doc, frame, selection: NOTHING, hover: null, grid: 0 };
    const clear = { ...state, stroke: null, marquee: null, drawing: null, guides: null };
    const backdrop = background.at(frame, doc.frames);
    const busy = backdrop.picture !== null;
    const view = { scale, x: 0, y: 0 };
    const surface = { context, state: clear, view, theme: themeOf(element), busy };
    const motion = motionOf(doc, doc);
    paintStage({ ...surface, portraits: editor.portraits() }, size, backdrop, motion, layers);
  };
  const arrived = (/** @type {number} */ frame) =>
    Promise.race([background.arrived(frame, doc.frames), pause(LOADING_MS)]);
  // The stream takes a picture when it is told to, so that the video has each frame once.
  const stream = canvas.captureStream(0);
  const [track] = /** @type {CanvasCaptureMediaStreamTrack[]} */ (stream.getVideoTracks());
  const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 8_000_000 });
  /** @type {Blob[]} */
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const done = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  // And one unasked, whenever it comes to it: nobody records that.
  recorder.pause();
  await arrived(0);
  paint(0);
  await shown();
  await pause(UNASKED_MS);
  recorder.resume();
  for (let frame = 0; frame < doc.frames; frame++) {
    await arrived(frame);
    paint(frame);
    track.requestFrame();
    status.say(t("recording", { n: Math.round((100 * (frame + 1)) / doc.frames) }));
    // Never faster to catch up: of pictures that follow one another too soon, some are let go.
    await Promise.all([pause(1000 / doc.fps), shown()]);
  }
  recorder.stop();
  await done;
  track.stop();
  downloadBlob(`paths.${type.slice(6)}`, new Blob(parts, { type }));
}
