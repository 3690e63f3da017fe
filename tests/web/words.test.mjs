import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { check, sayer } from "../../web/words/checking.mjs";
import { find, plurals } from "../../web/words/finding.mjs";
import { bindingOf } from "../../web/words/wiring.mjs";

const CASES = JSON.parse(readFileSync(new URL("../fixtures/wording_cases.json", import.meta.url)));
const say = sayer("en");

test("words stand where the server finds them", () => {
  for (const { word, kind, spans } of CASES.cases) {
    const [found] = find(CASES.prompt, [{ name: "one", word }]);
    assert.deepEqual([found.kind, found.spans], [kind, spans], word);
  }
  for (const [word, plural] of Object.entries(CASES.plurals)) {
    assert.ok(plurals(word).includes(plural), word);
  }
});

test("what is wrong is said, a line each", () => {
  const entities = [
    { name: "", word: "fox" },
    { name: "hero", word: "robot" },
  ];
  const layers = [
    { id: "a", name: "Fox", paths: 1 },
    { id: "b", name: "cat", paths: 2 },
    { id: "c", name: "dog", paths: 0 },
  ];
  const lines = check({ entities, layers, prompt: CASES.prompt }, say);
  assert.deepEqual(
    lines.map((line) => line.warning),
    [false, true, true, true],
  );
  assert.match(lines[0].text, /'fox' is in the prompt: “A small \[fox\] trots past two …”/);
  assert.match(lines[1].text, /only as a plural/);
  assert.match(lines[2].text, /no layer of the paths is called 'hero'/);
  assert.match(lines[3].text, /the layer 'cat' has paths but no entity/);
});

test("paths alone say nothing, and an unknown entity hides no layer's owner", () => {
  const layers = [{ id: "a", name: "fox", paths: 1 }];
  assert.deepEqual(check({ entities: [], layers, prompt: "a fox" }, say), []);
  assert.deepEqual(check({ entities: [null], layers, prompt: null }, say), []);
});

test("two entities of one word", () => {
  const entities = [
    { name: "left", word: "dog" },
    { name: "right", word: "dog" },
  ];
  const lines = check({ entities, layers: null, prompt: "a dog and a dog" }, say);
  assert.match(lines[0].text, /'dog' is the word of right too/);
});

/** A node of a graph, from a description. */
function node(type, inputs = {}, widgets = {}) {
  const names = Object.keys(inputs);
  const made = {
    type,
    comfyClass: type,
    inputs: names.map((name) => ({ name, link: 1 })),
    widgets: Object.entries(widgets).map(([name, value]) => ({ name, value })),
    outputs: [{}],
    next: [],
    getInputNode: (slot) => inputs[names[slot]] ?? null,
    getOutputNodes: () => made.next,
  };
  for (const origin of Object.values(inputs)) origin?.next.push(made);
  return made;
}

test("the graph tells entities, layers and the sampled prompt", () => {
  const fox = node("Tora2EncodeEntity", {}, { word: "fox", name: "" });
  const kept = node("Tora2SaveEntity", { entity: fox }, { filename_prefix: "x" });
  const document = { entities: [{ id: "fox", name: "fox" }], tracks: [{ entity: "fox" }] };
  const paths = node("Tora2TrajectoryEditor", {}, { document });
  const bind = node("Tora2Bind", { trajectories: paths, "entities.entity0": kept });
  const model = node("Tora2Apply", { conditioning: bind });
  const text = node("PrimitiveStringMultiline", {}, { value: "a fox" });
  const prompt = node("CLIPTextEncode", { text }, { text: "" });
  const start = node("Tora2ImageToVideo", { positive: prompt });
  node("KSampler", { model, positive: start });
  assert.deepEqual(bindingOf(bind), {
    entities: [{ word: "fox", name: "" }],
    layers: [{ id: "fox", name: "fox", paths: 1 }],
    prompt: "a fox",
  });
});
