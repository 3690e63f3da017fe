import assert from "node:assert/strict";
import { test } from "node:test";

import { fitOf, FITS, placed } from "../../web/editor/model/fitting.mjs";

const FRAME = { width: 720, height: 480 };

test("a wide or a high picture is cut from its middle", () => {
  const wide = placed({ width: 1920, height: 1080 }, FRAME, "crop");
  assert.deepEqual(wide.from, { x: 150, y: 0, width: 1620, height: 1080 });
  assert.deepEqual(wide.to, { x: 0, y: 0, ...FRAME });
  const high = placed({ width: 1080, height: 1920 }, FRAME, "crop");
  assert.deepEqual(high.from, { x: 0, y: 600, width: 1080, height: 720 });
});

test("padding shows it whole, stretching fills the frame with it", () => {
  const padded = placed({ width: 1080, height: 1920 }, FRAME, "pad");
  assert.deepEqual(padded.from, { x: 0, y: 0, width: 1080, height: 1920 });
  assert.deepEqual(padded.to, { x: 225, y: 0, width: 270, height: 480 });
  const stretched = placed({ width: 1080, height: 1920 }, FRAME, "stretch (as Tora)");
  assert.deepEqual(stretched.to, { x: 0, y: 0, ...FRAME });
});

test("a value that is none of them is the first", () => {
  for (const value of [undefined, null, "", "cover", 3, {}]) assert.equal(fitOf(value), FITS[0]);
});
