/**
 * Steps through the host's history, one after the other. The host loads the graph for a step, which
 * takes a while, and mixes up two that are made at once: a state may be noted twice, or a step back
 * be taken for an edit.
 */
export class Stepping {
  constructor() {
    /** @type {Promise<unknown>} */
    this.last = Promise.resolve();
    this.waiting = 0;
  }

  /** Whether a step is being made, or one waits. */
  get busy() {
    return this.waiting > 0;
  }

  /**
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>} what the step returns, when it has been made
   */
  add(step) {
    this.waiting++;
    const made = this.last.then(step);
    const done = () => {
      this.waiting--;
    };
    this.last = made.then(done, done);
    return made;
  }
}
