/**
 * NumPy's .npz as far as TRACKS needs it: two arrays of numbers, whatever else the zip holds. Bounds
 * and refusals are those of `tora2.trajectory.formats.npz`.
 *
 * @typedef {{name: string, flags: number, method: number, sum: number, packed: number,
 *   size: number, offset: number}} Member
 * @typedef {import("./arrays.mjs").Numbers} Numbers
 */
import { LIMITS } from "../model/document.mjs";
import { DocumentError, refuse, show } from "../model/fields.mjs";
import { packedBytes, tracksIn } from "./arrays.mjs";

const ARRAYS = ["track_path", "track_visibility"];
/** What a file may call its only array. */
const BARE = ["array", "arr_0", "tracks"];
const MAX_MEMBERS = 64;
const MAX_MEMBER = LIMITS.tracks * LIMITS.frames * 2 * 8 + 4096;
const MAX_COMMENT = 0xffff;
const END = 0x06054b50;
const ENTRY = 0x02014b50;
const FILE = 0x04034b50;
const MAX_VERSION = 63;
const UNICODE = 0x800;
const SECRET = 0x61; // flags of what is encrypted or a patch
const BROKEN = "not a complete .npz file";
const STORED = 0;
const DEFLATED = 8;

/** @type {Record<string, (view: DataView, at: number, little: boolean) => number>} by NumPy's name */
const NUMBERS = {
  f8: (view, at, little) => view.getFloat64(at, little),
  f4: (view, at, little) => view.getFloat32(at, little),
  f2: (view, at, little) => half(view.getUint16(at, little)),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  i4: (view, at, little) => view.getInt32(at, little),
  i2: (view, at, little) => view.getInt16(at, little),
  i1: (view, at) => view.getInt8(at),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  u4: (view, at, little) => view.getUint32(at, little),
  u2: (view, at, little) => view.getUint16(at, little),
  u1: (view, at) => view.getUint8(at),
  b1: (view, at) => view.getUint8(at),
};

/** @param {ArrayBuffer} buffer */
export function isNpz(buffer) {
  return buffer.byteLength > 4 && new DataView(buffer).getUint32(0, true) === FILE;
}

/**
 * Those of `track_path` and `track_visibility` that a file holds, else a bare array, or what ATI packs
 * into a .pth; nothing else in it is unpacked.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<Record<string, Numbers>>}
 * @throws {DocumentError}
 */
export async function readNpz(buffer) {
  const view = new DataView(buffer);
  try {
    const members = new Map(membersOf(view).map((one) => [one.name.replace(/\.npy$/, ""), one]));
    const pickle = [...members.values()].find(({ name }) => name.endsWith("data.pkl"));
    if (pickle) return await readNpz(packedBytes(await unpacked(view, pickle)));
    const bare = BARE.filter((name) => members.has(name)).slice(0, 1);
    const named = ARRAYS.filter((name) => members.has(name));
    if (!named.length && !bare.length) {
      const held = [...members.keys()].slice(0, 4).map(show).join(", ") || "nothing";
      throw new DocumentError(`TRACKS holds ${held}, expected track_path`);
    }
    /** @type {Record<string, Numbers>} */
    const result = {};
    for (const name of named.length ? named : bare) {
      const member = /** @type {Member} */ (members.get(name));
      result[name] = readNpy(new DataView(await unpacked(view, member)), name);
    }
    return named.length ? result : tracksIn(result[bare[0]]);
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new DocumentError(BROKEN);
    throw error;
  }
}

/** The zip's own list of its members, which ends before its last record. @param {DataView} view */
function membersOf(view) {
  let end = view.byteLength - 22;
  const first = Math.max(0, end - MAX_COMMENT);
  while (end >= first && view.getUint32(end, true) !== END) end--;
  if (end < first) throw new DocumentError(BROKEN);
  const begin = end - view.getUint32(end + 12, true);
  const before = begin - view.getUint32(end + 16, true); // what stands before the zip itself
  if (begin < 0 || before < 0) throw new DocumentError(BROKEN);
  /** @type {Member[]} */
  const members = [];
  for (let at = begin; at < end;) {
    if (view.getUint32(at, true) !== ENTRY) throw new DocumentError(BROKEN);
    const lengths = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    if (members.length === MAX_MEMBERS) {
      throw new DocumentError(`the file has more members, expected at most ${MAX_MEMBERS}`);
    }
    if (view.getUint8(at + 6) > MAX_VERSION) throw new DocumentError(BROKEN);
    const flags = view.getUint16(at + 8, true);
    members.push({
      name: named(view, at + 46, lengths[0], flags),
      flags,
      method: view.getUint16(at + 10, true),
      sum: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: before + view.getUint32(at + 42, true),
    });
    at += 46 + lengths[0] + lengths[1] + lengths[2];
  }
  return members;
}

/** @param {DataView} view @param {number} at @param {number} length @param {number} flags */
function named(view, at, length, flags) {
  const encoding = flags & UNICODE ? "utf-8" : "latin1";
  const bytes = new Uint8Array(view.buffer, at, length);
  return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** @param {DataView} view @param {Member} member @returns {Promise<ArrayBuffer>} */
async function unpacked(view, { name, flags, method, sum, packed, size, offset }) {
  if (size > MAX_MEMBER) {
    const expected = `expected at most ${MAX_MEMBER}`;
    throw new DocumentError(`${show(name)} is ${size} bytes, ${expected}`);
  }
  if (method !== STORED && method !== DEFLATED) {
    throw refuse(`the compression of ${show(name)}`, method, "0 (none) or 8 (deflate)");
  }
  const length = view.getUint16(offset + 26, true);
  const local = named(view, offset + 30, length, flags);
  if (view.getUint32(offset, true) !== FILE || local !== name) throw new DocumentError(BROKEN);
  if (flags & SECRET) throw new DocumentError(BROKEN);
  const start = offset + 30 + length + view.getUint16(offset + 28, true);
  const bytes = new Uint8Array(/** @type {ArrayBuffer} */ (view.buffer), start, packed);
  const result = method === STORED ? bytes.slice(0, size) : await inflated(bytes, size);
  if (result.length !== size || checksum(result) !== sum) throw new DocumentError(BROKEN);
  return result.buffer;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {number} size no more than this is unpacked
 */
async function inflated(bytes, size) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const result = new Uint8Array(size);
  const reader = stream.getReader();
  let filled = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      result.set(part.value, filled); // a RangeError where it is longer than it said
      filled += part.value.length;
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    throw new DocumentError(BROKEN);
  }
  return result.subarray(0, filled);
}

/** The zip's CRC-32. @param {Uint8Array} bytes */
function checksum(bytes) {
  const table = Int32Array.from({ length: 256 }, (_, value) => {
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    return value;
  });
  let sum = -1;
  for (const byte of bytes) sum = (sum >>> 8) ^ table[(sum ^ byte) & 255];
  return ~sum >>> 0;
}

/** @param {ArrayBuffer} buffer */
export function isNpy(buffer) {
  return buffer.byteLength > 10 && new DataView(buffer).getUint32(0) === 0x934e554d;
}

/** @param {ArrayBuffer} buffer @returns {Record<string, Numbers>} @throws {DocumentError} */
export function readBare(buffer) {
  try {
    return tracksIn(readNpy(new DataView(buffer), "the file"));
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new DocumentError(BROKEN);
    throw error;
  }
}

/** @param {DataView} view @param {string} name @returns {Numbers} */
function readNpy(view, name) {
  if (view.getUint32(0) !== 0x934e554d) throw new DocumentError(`${name} is not a NumPy array`);
  const wide = view.getUint8(6) > 1;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = wide ? 12 : 10;
  const offset = start + length;
  const shown = Math.min(length, 4096, view.byteLength - start);
  const head = new TextDecoder("latin1").decode(new Uint8Array(view.buffer, start, shown));
  const descr = /'descr': '([^']*)'/.exec(head)?.[1] ?? "nothing";
  const [, order, type = ""] = /^([<>|=]?)([a-z]\d)$/.exec(descr) ?? [];
  const turned = /'fortran_order': (True|False)/.exec(head)?.[1];
  const sizes = /'shape': \(((?:\d{1,9}, ?){0,3}(?:\d{1,9})?)\)/.exec(head)?.[1];
  const read = NUMBERS[type];
  if (!read || !turned || sizes === undefined) {
    throw new DocumentError(
      `${name} is an array of ${show(descr).slice(1, -1)}, expected plain numbers`,
    );
  }
  const shape = (sizes.match(/\d+/g) ?? []).map(Number);
  const width = Number(type.slice(1));
  const count = shape.reduce((product, n) => product * n, 1);
  if (count * width > view.byteLength - offset) {
    throw new DocumentError(`${BROKEN} (${name} ends before its ${count} numbers)`);
  }
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = read(view, offset + i * width, order !== ">");
  return { shape, values: turned === "True" ? transposed(values, shape) : values };
}

/** Fortran order to C order. @param {Float64Array} values @param {number[]} shape */
function transposed(values, shape) {
  const result = new Float64Array(values.length);
  for (let i = 0; i < result.length; i++) {
    let from = 0;
    let rest = i;
    for (let axis = shape.length - 1, below = values.length; axis >= 0; axis--) {
      below /= shape[axis];
      from += (rest % shape[axis]) * below;
      rest = Math.floor(rest / shape[axis]);
    }
    result[i] = values[from];
  }
  return result;
}

/** A 16-bit float. @param {number} bits */
function half(bits) {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
