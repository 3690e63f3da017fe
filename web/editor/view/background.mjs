/**
 * What lies behind the paths: a picture, the frames of a clip, or a video, and masks as a tint. It
 * lives in the page only and is never part of the workflow.
 *
 * What to paint at a frame.
 * @typedef {HTMLImageElement | HTMLVideoElement | HTMLCanvasElement} Picture
 * @typedef {{picture: Picture | null, tint: Picture | null, fit: Fit}} Backdrop
 * @typedef {import("../model/fitting.mjs").Fit} Fit
 *
 * `frames` and `masks` are addresses of pictures, one for each frame or one for all; `video` is the
 * address of a video.
 * @typedef {{frames: string[], video: string | null, masks: string[]}} Source
 */
import { FITS, placed } from "../model/fitting.mjs";
import { COLUMNS } from "../model/spreading.mjs";
import { el } from "./dom.mjs";

const TINT = [255, 64, 96, 110];
/** Masks are tinted at this many pixels a side at most. */
const TINT_SIDE = 512;
const FAR_S = 1e6;
/** The ready state of a video that has the picture of its current time. */
const HAVE_DATA = 2;

export class Background {
  /**
   * @param {() => void} changed
   * @param {(file: File) => Promise<string | null>} lend gives a file an address on the server,
   *   which holds until the server stops
   */
  constructor(changed, lend) {
    this.changed = changed;
    this.lend = lend;
    /** @type {Map<string, HTMLImageElement>} */
    this.pictures = new Map();
    /** @type {Map<string, HTMLCanvasElement>} */
    this.tints = new Map();
    /** @type {HTMLVideoElement | null} */
    this.video = null;
    /** @type {Source} */
    this.source = { frames: [], video: null, masks: [] };
    /** The address of a file that the user dropped: it wins over the graph's. */
    this.dropped = "";
    /** @type {Fit} */
    this.fit = FITS[0];
  }

  /** Show what the graph offers, unless the user dropped something. @param {Source} source */
  follow(source) {
    const own = this.dropped ? { frames: this.source.frames, video: this.source.video } : {};
    const next = { ...source, ...own };
    if (JSON.stringify(next) === JSON.stringify(this.source)) return;
    this.use(next);
  }

  /**
   * Show a picture or a video of the user's.
   * @param {File} file
   * @returns {Promise<boolean>} whether the browser can
   */
  async show(file) {
    const video = file.type.startsWith("video/");
    const shows = video ? canPlay : canDecode;
    let url = URL.createObjectURL(file);
    if (!(await shows(url))) {
      URL.revokeObjectURL(url);
      // A server may forbid its pages to play what is not its own.
      const lent = video ? await this.lend(file) : null;
      if (lent === null || !(await shows(lent))) return false;
      url = lent;
    }
    this.release();
    this.dropped = url;
    this.use({ ...this.source, frames: video ? [] : [url], video: video ? url : null });
    return true;
  }

  clear() {
    this.release();
    this.use({ frames: [], video: null, masks: [] });
  }

  release() {
    if (this.dropped) URL.revokeObjectURL(this.dropped);
    this.dropped = "";
  }

  /** @param {Source} source */
  use(source) {
    if (source.video !== this.source.video)
      this.video = source.video ? this.openVideo(source.video) : null;
    this.source = source;
    this.pictures.clear();
    this.tints.clear();
    this.changed();
  }

  /**
   * What to paint at a frame of the clip.
   * @param {number} frame
   * @param {number} frames
   * @returns {Backdrop}
   */
  at(frame, frames) {
    const { source } = this;
    const mask = this.picture(pick(source.masks, frame, frames));
    return {
      picture: this.video
        ? this.seek(frame, frames)
        : this.picture(pick(source.frames, frame, frames)),
      tint: mask && this.tint(mask),
      fit: this.fit,
    };
  }

  /**
   * Resolves once what `at` has for a frame can be painted, or is known not to come.
   * @param {number} frame
   * @param {number} frames
   */
  async arrived(frame, frames) {
    const { source, video } = this;
    this.at(frame, frames); // asks for it
    const urls = [
      pick(source.masks, frame, frames),
      video ? "" : pick(source.frames, frame, frames),
    ];
    const pictures = urls.map((url) => this.pictures.get(url ?? ""));
    await Promise.allSettled(pictures.map((image) => image?.decode()));
    if (!video) return;
    if (video.readyState < HAVE_DATA) await once(video, "loadeddata");
    this.seek(frame, frames);
    if (video.seeking) await once(video, "seeked");
  }

  /**
   * What the masks cover at a frame.
   * @param {import("../model/types.mjs").Doc} doc
   * @param {number} frame
   * @returns {import("../model/spreading.mjs").Cells | null} null without masks
   */
  cells(doc, frame) {
    const image = this.picture(pick(this.source.masks, frame, doc.frames));
    if (!image) return null;
    const rows = Math.max(1, Math.round((COLUMNS * doc.height) / doc.width));
    const canvas = el("canvas", { width: COLUMNS, height: rows });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return null;
    const extent = { width: image.naturalWidth, height: image.naturalHeight };
    const { from, to } = placed(extent, doc, this.fit);
    const [across, down] = [COLUMNS / doc.width, rows / doc.height];
    context.drawImage(
      image,
      ...[from.x, from.y, from.width, from.height],
      ...[to.x * across, to.y * down, to.width * across, to.height * down],
    );
    const { data } = context.getImageData(0, 0, COLUMNS, rows);
    const inside = Uint8Array.from({ length: COLUMNS * rows }, (_, i) => Number(data[4 * i] > 127));
    return { columns: COLUMNS, rows, inside };
  }

  /** @param {string | undefined} url */
  picture(url) {
    if (!url) return null;
    let image = this.pictures.get(url);
    if (!image) {
      image = new Image();
      image.onload = this.changed;
      image.src = url;
      this.pictures.set(url, image);
    }
    return image.complete && image.naturalWidth > 0 ? image : null;
  }

  /** @param {string} url */
  openVideo(url) {
    const video = el("video", { muted: true, preload: "auto", src: url });
    // A recording may not say how long it is; the browser finds out when it is sent to the end.
    video.addEventListener("loadedmetadata", () => {
      if (!Number.isFinite(video.duration)) video.currentTime = FAR_S;
    });
    video.addEventListener("seeked", this.changed);
    video.addEventListener("loadeddata", this.changed);
    return video;
  }

  /** @param {number} frame @param {number} frames */
  seek(frame, frames) {
    const { video } = this;
    if (!video || video.readyState < HAVE_DATA) return null;
    if (!Number.isFinite(video.duration)) return video;
    const time = ((frame + 0.5) / frames) * video.duration;
    if (!video.seeking && Math.abs(video.currentTime - time) > 1e-3) video.currentTime = time;
    return video;
  }

  /** A mask as a colour with its own brightness for alpha. @param {HTMLImageElement} image */
  tint(image) {
    const known = this.tints.get(image.src);
    if (known) return known;
    const scale = Math.min(1, TINT_SIDE / Math.max(image.naturalWidth, image.naturalHeight));
    const canvas = el("canvas", {
      width: Math.max(1, Math.round(image.naturalWidth * scale)),
      height: Math.max(1, Math.round(image.naturalHeight * scale)),
    });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return null;
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      const strength = pixels.data[i] / 255;
      pixels.data.set([TINT[0], TINT[1], TINT[2], TINT[3] * strength], i);
    }
    context.putImageData(pixels, 0, 0);
    this.tints.set(image.src, canvas);
    return canvas;
  }
}

/** As the node picks for its preview. @param {string[]} list @param {number} frame @param {number} frames */
function pick(list, frame, frames) {
  return list[Math.round((frame / Math.max(1, frames - 1)) * (list.length - 1))];
}

/** @param {HTMLVideoElement} video @param {string} event @returns {Promise<unknown>} */
function once(video, event) {
  return new Promise((resolve) => {
    for (const each of [event, "error"]) video.addEventListener(each, resolve, { once: true });
  });
}

/** @param {string} url @returns {Promise<boolean>} */
function canDecode(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(
    () => true,
    () => false,
  );
}

/** @param {string} url @returns {Promise<boolean>} */
function canPlay(url) {
  return new Promise((resolve) => {
    const video = el("video", { muted: true, preload: "metadata", src: url });
    video.addEventListener("loadedmetadata", () => resolve(true));
    video.addEventListener("error", () => resolve(false));
  });
}
