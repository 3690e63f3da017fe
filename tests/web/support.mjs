/** What the tests share: documents, presses, and a canvas that only counts. */

/** @param {object} [fields] */
export function track(fields = {}) {
  return {
    id: "t1",
    entity: null,
    curve: "spline",
    points: [
      { x: 0.2, y: 0.5 },
      { x: 0.5, y: 0.2 },
      { x: 0.8, y: 0.5 },
    ],
    start: 0,
    end: 48,
    easing: "linear",
    ...fields,
  };
}

/** @param {object} [fields] */
export function documentOf(fields = {}) {
  return {
    version: 1,
    width: 720,
    height: 480,
    frames: 49,
    fps: 8,
    entities: [{ id: "e1", name: "cat", color: "#e4572e" }],
    tracks: [track()],
    ...fields,
  };
}

/** A view in which css pixels are px. */
export const VIEW = Object.freeze({ scale: 1, x: 0, y: 0 });

/**
 * @param {number} x css
 * @param {number} y css
 * @param {object} [fields]
 */
export function press(x, y, fields = {}) {
  return {
    css: { x, y },
    button: 0,
    pointer: "mouse",
    shift: false,
    alt: false,
    ctrl: false,
    ...fields,
  };
}

/** A 2D context that takes every call and remembers how often. */
export function fakeContext() {
  /** @type {Record<string, number>} */
  const calls = {};
  const target = { calls, canvas: { width: 100, height: 100 } };
  return new Proxy(target, {
    get(object, name) {
      if (name in object) return object[name];
      return (...args) => {
        calls[name] = (calls[name] ?? 0) + 1;
        if (name === "measureText") return { width: 10 * String(args[0]).length };
        if (name === "getTransform") return { a: 1, b: 0, c: 0, d: 1, e: 0, f: 0 };
        return undefined;
      };
    },
    set(object, name, value) {
      object[name] = value;
      return true;
    },
  });
}
