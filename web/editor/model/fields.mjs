/**
 * Reading untrusted values: each function checks one and names its path when it is refused.
 */

/** A document was refused; the message is one sentence for the user. */
export class DocumentError extends Error {}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {string[]} required
 * @param {string[]} optional
 * @returns {Record<string, unknown>}
 */
export function keys(value, path, required, optional) {
  if (!isObject(value)) throw refuse(path, value, "an object");
  for (const key of Object.keys(value)) {
    if (!required.includes(key) && !optional.includes(key)) {
      throw new DocumentError(`${path} has the unknown key ${show(key)}`);
    }
  }
  for (const key of required) {
    if (value[key] === undefined) throw new DocumentError(`${path} has no key '${key}'`);
  }
  return value;
}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {number} low
 * @param {number} high
 * @returns {unknown[]}
 */
export function list(value, path, low, high) {
  if (!Array.isArray(value)) throw refuse(path, value, "a list");
  if (value.length < low || value.length > high) {
    throw new DocumentError(`${path} has ${value.length} items, expected ${low} to ${high}`);
  }
  return value;
}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {number} low
 * @param {number} high
 * @returns {number}
 */
export function integer(value, path, low, high) {
  if (typeof value !== "number" || !Number.isInteger(value) || value < low || value > high) {
    throw refuse(path, value, `an integer from ${low} to ${high}`);
  }
  return value;
}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {number} low
 * @param {number} high
 * @returns {number}
 */
export function number(value, path, low, high) {
  if (typeof value !== "number" || !(value >= low && value <= high)) {
    throw refuse(path, value, `a number from ${low} to ${high}`);
  }
  return value;
}

/**
 * @param {unknown} value
 * @param {string} path
 * @returns {number}
 */
export function finite(value, path) {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw refuse(path, value, "a finite number");
}

/**
 * @template {string} T
 * @param {unknown} value
 * @param {string} path
 * @param {readonly T[]} options
 * @returns {T}
 */
export function choice(value, path, options) {
  const found = options.find((option) => option === value);
  if (found === undefined) throw refuse(path, value, `one of ${options.join(", ")}`);
  return found;
}

/**
 * @param {unknown} value
 * @param {string[]} names
 * @returns {Record<string, unknown>}
 */
export function pick(value, names) {
  if (!isObject(value)) return {};
  return Object.fromEntries(names.filter((n) => value[n] !== undefined).map((n) => [n, value[n]]));
}

/**
 * @param {unknown} value
 * @returns {unknown[]}
 */
export function asList(value) {
  return Array.isArray(value) ? value : [];
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {string} path
 * @param {unknown} value
 * @param {string} expected
 */
export function refuse(path, value, expected) {
  return new DocumentError(`${path} is ${show(value)}, expected ${expected}`);
}

/**
 * A value for a message, at most 60 characters; line breaks and what else cannot be seen are escaped.
 * @param {unknown} value
 */
export function show(value) {
  let text;
  if (typeof value === "string") text = `'${value.slice(0, 60)}'`;
  else if (Array.isArray(value)) text = `a list of ${value.length} items`;
  else if (isObject(value)) text = "an object";
  else text = String(value);
  text = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) => {
    return `\\u${(sign.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
