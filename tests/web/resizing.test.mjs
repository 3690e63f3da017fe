import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { parse } from "../../web/editor/model/document.mjs";
import { resized } from "../../web/editor/model/timing.mjs";

const { cases } = JSON.parse(
  readFileSync(new URL("../fixtures/resizing_cases.json", import.meta.url), "utf8"),
);

test("documents are resized as Python resizes them", () => {
  assert.ok(cases.length >= 50);
  for (const { document, size, resized: wanted } of cases) {
    assert.deepEqual(resized(parse(document), size), parse(wanted));
  }
});
