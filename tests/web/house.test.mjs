/**
 * How the editor's house is built: floors, of which each stands on those below it. Types that are
 * imported in a comment count like code.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

const WEB = new URL("../../web/", import.meta.url).pathname;

/** From the ground up, by the beginning of the path; the first that fits counts. */
const FLOORS = Object.freeze([
  "editor/labels/", // what things are called, in two languages, and how they look on a button
  "editor/model/", // the document, its geometry and time, edits of it, and the state around it
  "editor/formats/", // what files and workflows hold: other programs' formats, older and newer ours
  "editor/controller/", // what a key, a button or a pointer does to the state
  "editor/view/", // what is painted on canvases, and how elements are built
  "editor/input/", // what the browser tells: pointers, clipboard, files
  "editor/panels/", // what stands around the canvases
  "editor/", // one editor, put together
  "", // the host's door
]);
/** Up to here everything runs without a page. */
const PURE = ["editor/labels/", "editor/model/", "editor/formats/", "editor/controller/"];

const PAGE = new RegExp(
  String.raw`(?<![.\w$])(?:` +
    "document|window|globalThis|self|navigator|location|history|localStorage|sessionStorage|" +
    "addEventListener|alert|confirm|prompt|fetch|getComputedStyle|devicePixelRatio|" +
    "requestAnimationFrame|cancelAnimationFrame|requestIdleCallback|matchMedia|" +
    String.raw`Image|Path2D|Element|Node|Event|FileReader|DOMParser|\w+Observer|` +
    String.raw`(?:HTML|SVG|CSS|Canvas|Pointer|Mouse|Keyboard|Offscreen)[A-Z]\w*` +
    String.raw`)\b(?!\s*:)`,
);

/** @param {string} path */
const floorOf = (path) => FLOORS.findIndex((floor) => path.startsWith(floor));

/** @returns {Record<string, string>} the text of every module, by its path below web/ */
function modules() {
  const files = readdirSync(WEB, { recursive: true }).map(String);
  const scripts = files.filter((file) => /\.m?js$/.test(file));
  return Object.fromEntries(scripts.map((file) => [file, readFileSync(join(WEB, file), "utf8")]));
}

/** @param {Record<string, string>} texts @returns {[string, string][]} who imports whom */
function imports(texts) {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.[^"']+)["']/g;
  return Object.entries(texts).flatMap(([path, text]) =>
    [...text.matchAll(pattern)].map(([, to]) => [path, join(dirname(path), to)]),
  );
}

/** @param {[string, string][]} arrows @returns {string[]} those that go up */
const upward = (arrows) =>
  arrows
    .filter(([from, to]) => floorOf(to) > floorOf(from))
    .map(([from, to]) => `${from} -> ${to}`);

/** @param {[string, string][]} arrows @returns {string[]} the modules that are in a circle */
function circles(arrows) {
  let rest = arrows;
  for (;;) {
    const used = new Set(rest.map(([, to]) => to));
    const users = new Set(rest.map(([from]) => from));
    const next = rest.filter(([from, to]) => used.has(from) && users.has(to));
    if (next.length === rest.length) return [...used].sort();
    rest = next;
  }
}

/** @param {string} text @returns {string | undefined} a name of the page that the code speaks of */
function ofThePage(text) {
  const code = text
    .replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*/g, "")
    .replace(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, '""')
    .replace(/`(?:\\.|[^`\\])*`/g, (quoted) => (quoted.match(/(?<=\$\{)[^}]*/g) ?? []).join(";"));
  return PAGE.exec(code)?.[0];
}

test("imports go down only, and never in a circle", () => {
  const texts = modules();
  const arrows = imports(texts);
  assert.ok(arrows.length > 150);
  const inside = arrows.filter(([, to]) => !to.startsWith(".."));
  const missing = inside.filter(([, to]) => !(to in texts)).map(([from, to]) => `${from} -> ${to}`);
  assert.deepEqual(missing, []);
  assert.deepEqual(upward(inside), []);
  assert.deepEqual(circles(inside), []);
});

test("only the host's door leaves web/, and only tora2.js is loaded by the host itself", () => {
  const texts = modules();
  const outside = imports(texts).filter(([, to]) => to.startsWith(".."));
  assert.deepEqual([...new Set(outside.map(([from]) => from))], ["host.mjs"]);
  assert.deepEqual(
    Object.keys(texts).filter((path) => path.endsWith(".js")),
    ["tora2.js"],
  );
});

test("what is below the view knows no page", () => {
  const pure = Object.entries(modules()).filter(([path]) => PURE.includes(FLOORS[floorOf(path)]));
  assert.ok(pure.length >= 25);
  for (const [path, text] of pure) assert.equal(ofThePage(text), undefined, path);
});

test("a house with faults is told from one without", () => {
  const texts = {
    "host.mjs": 'import { Editor } from "./editor/editor.mjs";',
    "editor/editor.mjs": 'import "./view/a.mjs";\nimport { m } from "./model/m.mjs";',
    "editor/view/a.mjs": 'import {\n  b,\n} from "./b.mjs";',
    "editor/view/b.mjs": "export const b = 1;",
    "editor/model/m.mjs": "export const m = 1;",
  };
  assert.deepEqual(upward(imports(texts)), []);
  assert.deepEqual(circles(imports(texts)), []);
  texts["editor/model/m.mjs"] = '/** @typedef {import("../view/b.mjs").B} B */';
  assert.deepEqual(upward(imports(texts)), ["editor/model/m.mjs -> editor/view/b.mjs"]);
  texts["editor/view/b.mjs"] = 'export { a } from "./a.mjs";';
  assert.deepEqual(circles(imports(texts)), ["editor/view/a.mjs", "editor/view/b.mjs"]);

  const fine =
    '// the document\nconst text = "window"; const doc = state.document; f({ document: 1 });';
  assert.equal(ofThePage(fine), undefined);
  for (const [name, code] of Object.entries({
    document: 'const x = document.createElement("a");',
    requestAnimationFrame: "if (a) requestAnimationFrame(b);",
    HTMLCanvasElement: "return x instanceof HTMLCanvasElement;",
    Path2D: "new Path2D()",
    ResizeObserver: "new ResizeObserver(f)",
  })) {
    assert.equal(ofThePage(code), name);
  }
});
