/**
 * Pointer, wheel and touch events of a canvas, turned into presses of a controller. Coordinates are
 * taken from the element's box at the time of the event, so zooms of the graph do not matter.
 *
 * @typedef {import("../controller/gestures.mjs").Press} Press
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {{down(press: Press): void, move(press: Press): void, up(press: Press): void,
 *   cancel(): void}} Pressable
 * @typedef {{pinch?: (middle: Vec, factor: number, by: Vec) => void,
 *   wheel?: (event: WheelEvent, css: Vec) => boolean, leave?: () => void,
 *   hover?: (press: Press) => void}} Extras `wheel` returns whether it took the event
 */

/** Before the name of a pointer event: one that the page would not let through to the canvas. */
export const OWN = "tora2-";

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Pressable} controller
 * @param {Extras} [extras]
 */
export function listen(canvas, controller, extras = {}) {
  /** @type {Map<number, Vec>} */
  const fingers = new Map();
  let pressed = -1;
  const on = (/** @type {string} */ type, /** @type {(event: PointerEvent) => void} */ take) => {
    for (const name of [type, OWN + type]) {
      canvas.addEventListener(name, /** @type {EventListener} */ (take));
    }
  };

  on("pointerdown", (event) => {
    event.stopPropagation();
    if (event.pointerType === "touch") fingers.set(event.pointerId, eventToCss(event, canvas));
    if (fingers.size === 2 && extras.pinch) {
      controller.cancel();
      pressed = -1;
      return;
    }
    if (pressed >= 0) return;
    pressed = event.pointerId;
    if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
    controller.down(pressOf(event, canvas));
  });

  on("pointermove", (event) => {
    event.stopPropagation();
    if (fingers.size === 2 && fingers.has(event.pointerId)) {
      pinch(fingers, event.pointerId, eventToCss(event, canvas), extras);
      return;
    }
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, eventToCss(event, canvas));
    if (pressed >= 0 && event.pointerId !== pressed) return;
    const events = pressed >= 0 ? (event.getCoalescedEvents?.() ?? []) : [];
    for (const part of events.slice(0, -1)) controller.move(pressOf(part, canvas));
    const press = pressOf(event, canvas);
    controller.move(press);
    if (pressed < 0) extras.hover?.(press);
  });

  const end = (/** @type {PointerEvent} */ event) => {
    event.stopPropagation();
    fingers.delete(event.pointerId);
    if (event.pointerId !== pressed) return;
    pressed = -1;
    if (event.type === "pointerup") controller.up(pressOf(event, canvas));
    else controller.cancel();
  };
  on("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => {
    if (pressed < 0) extras.leave?.();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!extras.wheel?.(event, eventToCss(event, canvas))) return;
      event.preventDefault();
      event.stopPropagation();
    },
    { passive: false },
  );
}

/**
 * @param {PointerEvent} event
 * @param {HTMLElement} element
 * @returns {Press}
 */
function pressOf(event, element) {
  const { pointerType } = event;
  return {
    css: eventToCss(event, element),
    zoom: element.getBoundingClientRect().width / element.clientWidth || 1,
    button: Math.max(0, event.button),
    pointer: pointerType === "touch" || pointerType === "pen" ? pointerType : "mouse",
    shift: event.shiftKey,
    alt: event.altKey,
    ctrl: event.ctrlKey || event.metaKey,
  };
}

/**
 * @param {Map<number, Vec>} fingers
 * @param {number} id of the finger that moved
 * @param {Vec} to
 * @param {Extras} extras
 */
function pinch(fingers, id, to, extras) {
  const [other] = [...fingers].filter(([key]) => key !== id).map(([, at]) => at);
  const from = /** @type {Vec} */ (fingers.get(id));
  fingers.set(id, to);
  const before = Math.hypot(from.x - other.x, from.y - other.y);
  const after = Math.hypot(to.x - other.x, to.y - other.y);
  const middle = { x: (to.x + other.x) / 2, y: (to.y + other.y) / 2 };
  const by = { x: (to.x - from.x) / 2, y: (to.y - from.y) / 2 };
  extras.pinch?.(middle, before > 0 ? after / before : 1, by);
}

/**
 * A pointer event's place on an element, whatever transforms the page has put above it.
 * @param {{clientX: number, clientY: number}} event
 * @param {HTMLElement} element
 * @returns {Vec}
 */
function eventToCss(event, element) {
  const box = element.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) * element.clientWidth) / (box.width || 1),
    y: ((event.clientY - box.top) * element.clientHeight) / (box.height || 1),
  };
}
