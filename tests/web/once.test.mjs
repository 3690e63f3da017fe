import assert from "node:assert/strict";
import { test } from "node:test";

import { isFirst } from "../../web/once.mjs";

test("the first copy is used, another is told of once and names both", (context) => {
  const warn = context.mock.method(console, "warn", () => {});
  const [a, b] = ["http://x/extensions/tora2/host.mjs", "http://x/extensions/copy/host.mjs"];
  assert.equal(isFirst("Tora2.Test", a), true);
  assert.equal(warn.mock.callCount(), 0);
  assert.equal(isFirst("Tora2.Test", b), false);
  assert.equal(warn.mock.callCount(), 1);
  const [message] = warn.mock.calls[0].arguments;
  assert.ok(message.includes(a) && message.includes(b), message);
  assert.equal(isFirst("Tora2.Other", b), true);
});
