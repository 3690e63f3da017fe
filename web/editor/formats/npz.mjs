/**
 * NumPy's .npz as far as TRACKS needs it: two arrays of numbers, whatever else the zip holds. Bounds
 * and refusals are those of `tora2.trajectory.formats.npz`.
 *
 * @typedef {{name: string, method: number, packed: number, size: number, offset: number}} Member
 * @typedef {{shape: number[], values: ArrayLike<number>}} Numbers in C order
 */
import { LIMITS } from "../model/document.mjs";
import { DocumentError, refuse, show } from "../model/fields.mjs";

const ARRAYS = ["track_path", "track_visibility"];
const MAX_MEMBERS = 64;
const MAX_MEMBER = LIMITS.tracks * LIMITS.frames * 2 * 8 + 4096;
const MAX_COMMENT = 0xffff;
const END = 0x06054b50;
const ENTRY = 0x02014b50;
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
  return buffer.byteLength > 4 && new DataView(buffer).getUint32(0, true) === 0x04034b50;
}

/**
 * Those of `track_path` and `track_visibility` that a file holds; nothing else in it is unpacked.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<Record<string, Numbers>>}
 * @throws {DocumentError}
 */
export async function readNpz(buffer) {
  const view = new DataView(buffer);
  try {
    const members = new Map(membersOf(view).map((one) => [one.name.replace(/\.npy$/, ""), one]));
    /** @type {Record<string, Numbers>} */
    const result = {};
    for (const name of ARRAYS) {
      const member = members.get(name);
      if (member) result[name] = readNpy(new DataView(await unpacked(view, member)), name);
    }
    return result;
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new DocumentError(BROKEN);
    throw error;
  }
}

/** The zip's own list of its members. @param {DataView} view @returns {Member[]} */
function membersOf(view) {
  let end = view.byteLength - 22;
  const first = Math.max(0, end - MAX_COMMENT);
  while (end >= first && view.getUint32(end, true) !== END) end--;
  if (end < first) throw new DocumentError(BROKEN);
  const count = view.getUint16(end + 10, true);
  if (count > MAX_MEMBERS) {
    throw new DocumentError(`the file has ${count} members, expected at most ${MAX_MEMBERS}`);
  }
  let at = view.getUint32(end + 16, true);
  /** @type {Member[]} */
  const result = [];
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== ENTRY) throw new DocumentError(BROKEN);
    const lengths = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const name = new Uint8Array(view.buffer, at + 46, lengths[0]);
    result.push({
      name: new TextDecoder().decode(name),
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + lengths[0] + lengths[1] + lengths[2];
  }
  return result;
}

/** @param {DataView} view @param {Member} member @returns {Promise<ArrayBuffer>} */
async function unpacked(view, { name, method, packed, size, offset }) {
  if (size > MAX_MEMBER) {
    const expected = `expected at most ${MAX_MEMBER}`;
    throw new DocumentError(`${show(name)} is ${size} bytes, ${expected}`);
  }
  if (method !== STORED && method !== DEFLATED) {
    throw refuse(`the compression of ${show(name)}`, method, "0 (none) or 8 (deflate)");
  }
  const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  const bytes = new Uint8Array(/** @type {ArrayBuffer} */ (view.buffer), start, packed);
  const result = method === STORED ? bytes.slice(0, size) : await inflated(bytes, size);
  if (result.length !== size) throw new DocumentError(BROKEN);
  return result.buffer;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {number} size no more than this is unpacked
 */
async function inflated(bytes, size) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const result = new Uint8Array(size);
  let filled = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (filled + part.value.length > size) {
      await reader.cancel();
      throw new DocumentError(BROKEN);
    }
    result.set(part.value, filled);
    filled += part.value.length;
  }
  return result.subarray(0, filled);
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
    const kind = descr.slice(0, 20);
    throw new DocumentError(`${name} is an array of ${kind}, expected plain numbers`);
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
