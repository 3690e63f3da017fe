/**
 * What every canvas does with a pointer: a press begins a gesture, which has the pointer until it is
 * let go.
 *
 * @typedef {import("../model/types.mjs").Vec} Vec
 * @typedef {import("./gestures.mjs").Gesture} Gesture
 * @typedef {import("./gestures.mjs").Press} Press
 */
import { widening } from "./hit.mjs";

const DOUBLE_CLICK_MS = 400;
/** The second click of a double click is at most this far (css) from the first. */
const DOUBLE_CLICK_REACH = 6;

export class PressController {
  /** @param {() => number} [now] milliseconds */
  constructor(now = () => performance.now()) {
    this.now = now;
    /** @type {Gesture | null} */
    this.gesture = null;
    /** @type {{css: Vec, time: number} | null} */
    this.previous = null;
  }

  /**
   * @param {Press} _press
   * @param {boolean} _double whether it is the second of a double click
   * @returns {Gesture | null}
   */
  begin(_press, _double) {
    return null;
  }

  /** A pointer that is not pressed moves. @param {Press} _press */
  hover(_press) {}

  /** @param {Press} press */
  down(press) {
    if (this.gesture) return;
    const double = this.isDouble(press);
    this.previous = double ? null : { css: press.css, time: this.now() };
    this.gesture = this.begin(press, double);
  }

  /** @param {Press} press */
  move(press) {
    if (this.gesture) this.gesture.move(press);
    else this.hover(press);
  }

  /** @param {Press} press */
  up(press) {
    const { gesture } = this;
    this.gesture = null;
    gesture?.up(press);
  }

  cancel() {
    const { gesture } = this;
    this.gesture = null;
    gesture?.cancel();
  }

  /** @param {Press} press */
  isDouble({ css, zoom }) {
    const { previous } = this;
    if (!previous || this.now() - previous.time > DOUBLE_CLICK_MS) return false;
    const reach = DOUBLE_CLICK_REACH * widening({ zoom });
    return Math.hypot(css.x - previous.css.x, css.y - previous.css.y) < reach;
  }
}
