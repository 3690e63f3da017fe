/** Steps of the history that are asked for at once. */
import assert from "node:assert/strict";
import test from "node:test";
import { Stepping } from "../../web/stepping.mjs";

test("a step begins when the one before it has been made, also one that failed", async () => {
  const stepping = new Stepping();
  /** @type {string[]} */
  const made = [];
  const step = (/** @type {string} */ name, fails = false) =>
    stepping.add(async () => {
      made.push(`${name} begins`);
      await new Promise((done) => setTimeout(done, 5));
      if (fails) throw new Error(name);
      made.push(`${name} ends`);
      return name;
    });
  assert.equal(stepping.busy, false);
  const [first, second, third] = [step("a"), step("b", true), step("c")];
  assert.equal(stepping.busy, true);
  assert.equal(await first, "a");
  await assert.rejects(second);
  assert.equal(await third, "c");
  assert.deepEqual(made, ["a begins", "a ends", "b begins", "c begins", "c ends"]);
  assert.equal(stepping.busy, false);
});
