/**
 * Reading NumPy's .npz: a zip of arrays. Only as much of either as `np.savez` and
 * `np.savez_compressed` write; bounds as in `tora2.trajectory.formats`.
 *
 * @typedef {{name: string, method: number, packed: number, size: number, offset: number}} Member
 */
import { LIMITS } from "../model/document.mjs";
import { DocumentError } from "../model/fields.mjs";

const MAX_MEMBER = LIMITS.tracks * LIMITS.frames * 2 * 8 + 4096;
const END = 0x06054b50;
const ENTRY = 0x02014b50;
const BROKEN = "not a complete .npz file";
const STORED = 0;
const DEFLATED = 8;

/** @type {Record<string, (view: DataView, at: number) => number>} by NumPy's name, with its bytes */
const NUMBERS = {
  "<f8": (view, at) => view.getFloat64(at, true),
  "<f4": (view, at) => view.getFloat32(at, true),
  "<i8": (view, at) => Number(view.getBigInt64(at, true)),
  "<i4": (view, at) => view.getInt32(at, true),
  "|b1": (view, at) => view.getUint8(at),
  "|u1": (view, at) => view.getUint8(at),
};

/** @param {ArrayBuffer} buffer */
export function isNpz(buffer) {
  return buffer.byteLength > 4 && new DataView(buffer).getUint32(0, true) === 0x04034b50;
}

/**
 * The arrays whose names begin with `track_`, as nested lists.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<Record<string, unknown>>}
 * @throws {DocumentError}
 */
export async function readNpz(buffer) {
  const view = new DataView(buffer);
  try {
    /** @type {Record<string, unknown>} */
    const result = {};
    for (const member of membersOf(view)) {
      if (!member.name.startsWith("track_")) continue;
      if (member.size > MAX_MEMBER) {
        const size = `${member.size} bytes, expected at most ${MAX_MEMBER}`;
        throw new DocumentError(`${member.name} is ${size}`);
      }
      const name = member.name.replace(/\.npy$/, "");
      result[name] = readNpy(new DataView(await unpacked(view, member)), name);
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
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  if (end < 0) throw new DocumentError(BROKEN);
  const count = view.getUint16(end + 10, true);
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
  const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  const bytes = new Uint8Array(/** @type {ArrayBuffer} */ (view.buffer), start, packed);
  if (method === STORED) return bytes.slice().buffer;
  if (method !== DEFLATED) throw new DocumentError(`${name} is packed in a way that is not known`);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const result = new Uint8Array(size);
  let filled = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    result.set(part.value, filled); // a RangeError where it is longer than it said
    filled += part.value.length;
  }
  if (filled !== size) throw new DocumentError(BROKEN);
  return result.buffer;
}

/** @param {DataView} view @param {string} name @returns {unknown} nested lists of numbers */
function readNpy(view, name) {
  const wide = view.getUint8(6) > 1;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = wide ? 12 : 10;
  const head = new TextDecoder("latin1").decode(new Uint8Array(view.buffer, start, length));
  const type = /'descr': '([^']*)'/.exec(head)?.[1] ?? "";
  const read = NUMBERS[type];
  const shape = /'shape': \(([\d, ]*)\)/.exec(head)?.[1].match(/\d+/g)?.map(Number);
  if (!read || !shape || !head.includes("'fortran_order': False")) {
    throw new DocumentError(`${name} is an array of ${type || "nothing"}, expected plain numbers`);
  }
  const width = Number(type.slice(2));
  let at = start + length;
  /** @param {number} axis @returns {unknown[]} */
  const nested = (axis) =>
    Array.from({ length: shape[axis] }, () => {
      if (axis + 1 < shape.length) return nested(axis + 1);
      const value = read(view, at);
      at += width;
      return value;
    });
  if (shape.reduce((product, n) => product * n, width) > view.byteLength - at) {
    throw new DocumentError(BROKEN);
  }
  return nested(0);
}
