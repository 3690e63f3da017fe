/**
 * Time: what makes a clip play.
 *
 * @typedef {import("../model/store.mjs").Store} Store
 */

/**
 * Advance the playhead in real time while playing.
 * @param {Store} store
 */
export function createClock(store) {
  let began = 0;
  let from = 0;
  let ticking = false;
  /** @param {number} time */
  function tick(time) {
    const { playing, doc, loop } = store.state;
    if (!playing) {
      ticking = false;
      return;
    }
    if (began === 0) began = time;
    const frame = from + Math.floor(((time - began) / 1000) * doc.fps);
    if (frame >= doc.frames && !loop) store.set({ frame: doc.frames - 1, playing: false });
    else if (frame % doc.frames !== store.state.frame) store.set({ frame: frame % doc.frames });
    requestAnimationFrame(tick);
  }
  store.subscribe(({ playing, frame }) => {
    if (!playing || ticking) return;
    ticking = true;
    began = 0;
    from = frame;
    requestAnimationFrame(tick);
  });
}
