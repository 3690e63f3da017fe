import assert from "node:assert/strict";
import { test } from "node:test";

import { listen } from "../../web/editor/input/pointers.mjs";
import { fit, toCss, toPx } from "../../web/editor/model/viewport.mjs";

/** A canvas of 400 x 200 css pixels that is shown at 1.5 times its size, away from the corner. */
function fakeCanvas() {
  const canvas = new EventTarget();
  return Object.assign(canvas, {
    clientWidth: 400,
    clientHeight: 200,
    captured: [],
    getBoundingClientRect: () => ({ left: 30, top: 50, width: 600, height: 300 }),
    setPointerCapture(id) {
      this.captured.push(id);
    },
  });
}

function setup(extras) {
  const canvas = fakeCanvas();
  const log = [];
  const note = (name) => (press) => log.push([name, press?.css.x, press?.css.y, press?.pointer]);
  listen(
    canvas,
    { down: note("down"), move: note("move"), up: note("up"), cancel: note("cancel") },
    extras,
  );
  const send = (type, x, y, fields = {}) => {
    const event = new Event(type, { cancelable: true });
    const values = { clientX: x, clientY: y, pointerId: 1, pointerType: "mouse", button: 0 };
    for (const [key, value] of Object.entries({ ...values, ...fields })) {
      Object.defineProperty(event, key, { value });
    }
    canvas.dispatchEvent(event);
    return event;
  };
  return { log, send };
}

test("places are the element's own pixels, whatever the zoom, and nothing is prevented", () => {
  const { log, send } = setup();
  const down = send("pointerdown", 330, 200);
  send("pointermove", 630, 350);
  send("pointerup", 30, 50, { pointerType: "pen" });
  assert.deepEqual(log, [
    ["down", 200, 100, "mouse"],
    ["move", 400, 200, "mouse"],
    ["up", 0, 0, "pen"],
  ]);
  assert.equal(
    down.defaultPrevented,
    false,
    "the host's undo listens to the mouse events after it",
  );
});

test("two fingers pinch instead of drawing", () => {
  const pinches = [];
  const { log, send } = setup({ pinch: (...args) => pinches.push(args) });
  const touch = (id) => ({ pointerId: id, pointerType: "touch" });
  send("pointerdown", 30, 50, touch(1));
  send("pointerdown", 180, 50, touch(2));
  send("pointermove", 330, 50, touch(2));
  assert.deepEqual(
    log.map(([name]) => name),
    ["down", "cancel"],
  );
  assert.deepEqual(pinches, [[{ x: 100, y: 0 }, 2, { x: 50, y: 0 }]]);
  send("pointerup", 330, 50, touch(2));
  send("pointermove", 60, 50, touch(1));
  assert.equal(log.at(-1)[0], "move", "one finger left hovers");
});

test("a second pointer does not disturb a press, and a lost one cancels it", () => {
  const { log, send } = setup();
  send("pointerdown", 30, 50);
  send("pointerdown", 40, 60, { pointerId: 2 });
  send("pointermove", 40, 60, { pointerId: 2 });
  send("pointercancel", 40, 60);
  assert.deepEqual(
    log.map(([name]) => name),
    ["down", "cancel"],
  );
});

test("the wheel is the graph's until the editor takes it", () => {
  let ours = false;
  const { send } = setup({ wheel: () => ours });
  assert.equal(send("wheel", 100, 100).defaultPrevented, false);
  ours = true;
  assert.equal(send("wheel", 100, 100).defaultPrevented, true);
});

test("the fitted frame lies in the middle, and places survive the way there and back", () => {
  const view = fit({ width: 720, height: 480 }, { width: 400, height: 400 });
  const middle = toCss(view, { x: 360, y: 240 });
  assert.ok(Math.abs(middle.x - 200) < 1e-9 && Math.abs(middle.y - 200) < 1e-9);
  const back = toPx(view, toCss(view, { x: 12.5, y: -7 }));
  assert.ok(Math.abs(back.x - 12.5) < 1e-9 && Math.abs(back.y + 7) < 1e-9);
});
