/**
 * Paths as one bare array: Wan-Move's .npy, batches of them, and what ATI packs into .pth.
 * `tora2.trajectory.formats.arrays` says the same.
 *
 * @typedef {{shape: number[], values: ArrayLike<number>}} Numbers in C order
 */
import { DocumentError, show } from "../model/fields.mjs";

/** ATI stores eighths of a pixel. */
const ATI_UNIT = 8;
const ATI_FRAMES = 121;
const SHAPES = "[T, N, 2], [B, T, N, 2] or ATI's [N, 121, 1, 3]";

/**
 * The host's TRACKS out of an array of one of the shapes that are in use.
 * @param {Numbers} array
 * @returns {Record<string, Numbers>}
 * @throws {DocumentError}
 */
export function tracksIn(array) {
  const { shape } = array;
  const last = shape[shape.length - 1];
  if (shape.length === 4 && shape[2] === 1 && last === 3) return fromAti(array);
  if (shape.length === 4 && last === 2) return { track_path: together(array) };
  if (shape.length === 3 && last === 3) return parted(array, 1);
  if (shape.length === 3 && last === 2) return { track_path: array };
  throw new DocumentError(
    `the file holds an array of the shape (${shape.join(", ")}), expected ${SHAPES}`,
  );
}

/**
 * The tracks of all clips [B, T, N, ...] in one, [T, B N, ...].
 * @param {Numbers} batch
 * @returns {Numbers}
 */
export function together({ shape: [clips, frames, count, ...rest], values }) {
  const size = rest.reduce((product, n) => product * n, 1);
  const result = new Float64Array(clips * frames * count * size);
  const row = count * size;
  for (let b = 0; b < clips; b++) {
    for (let f = 0; f < frames; f++) {
      const from = (b * frames + f) * row;
      for (let i = 0; i < row; i++) result[(f * clips + b) * row + i] = values[from + i];
    }
  }
  return { shape: [frames, clips * count, ...rest], values: result };
}

/** [N, 121, 1, 3], else [T, N, 1, 3], in eighths of a pixel. @param {Numbers} array */
function fromAti({ shape: [first, second], values }) {
  if (second !== ATI_FRAMES) return parted({ shape: [first, second, 3], values }, ATI_UNIT);
  const turned = new Float64Array(first * second * 3);
  for (let n = 0; n < first; n++) {
    for (let f = 0; f < second; f++) {
      for (let i = 0; i < 3; i++) {
        turned[(f * first + n) * 3 + i] = values[(n * second + f) * 3 + i];
      }
    }
  }
  return parted({ shape: [second, first, 3], values: turned }, ATI_UNIT);
}

/** x and y apart from visibility. @param {Numbers} array @param {number} unit @returns {Record<string, Numbers>} */
function parted({ shape: [frames, count], values }, unit) {
  const path = new Float64Array(frames * count * 2);
  const seen = new Float64Array(frames * count);
  for (let i = 0; i < seen.length; i++) {
    path[2 * i] = values[3 * i] / unit;
    path[2 * i + 1] = values[3 * i + 1] / unit;
    seen[i] = values[3 * i + 2] / unit;
  }
  return {
    track_path: { shape: [frames, count, 2], values: path },
    track_visibility: { shape: [frames, count], values: seen },
  };
}

/**
 * The bytes that a pickle of bytes alone holds, as `torch.save` writes ATI's tracks. Nothing is run:
 * the one name that may stand in it is the codec that makes bytes of text.
 * @param {ArrayBuffer} pickled
 * @returns {ArrayBuffer}
 * @throws {DocumentError}
 */
export function packedBytes(pickled) {
  const view = new DataView(pickled);
  const text = new TextDecoder("latin1").decode(
    new Uint8Array(pickled, 0, Math.min(256, pickled.byteLength)),
  );
  const head = /^\x80[\x02-\x05](?:\x95[^]{8})?/.exec(text);
  let at = head?.[0].length ?? 0;
  const codec = /^c_codecs\nencode\n(?:q[^]|\x94)?/.exec(text.slice(at));
  at += codec?.[0].length ?? 0;
  const code = text[at];
  if (codec && code === "X") {
    const length = view.getUint32(at + 1, true);
    const words = new TextDecoder("utf-8").decode(new Uint8Array(pickled, at + 5, length));
    return Uint8Array.from(words, (sign) => sign.charCodeAt(0)).buffer;
  }
  if (!codec && code === "B") {
    return pickled.slice(at + 5, at + 5 + view.getUint32(at + 1, true));
  }
  const held = /c([\w.]+)\n(\w+)\n/.exec(text);
  const what = show(held ? `${held[1]} ${held[2]}` : "other values");
  throw new DocumentError(`the .pth file holds ${what}, expected the packed bytes of ATI's tracks`);
}
