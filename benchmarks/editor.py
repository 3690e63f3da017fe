"""Frame times of the trajectory editor in headless Chromium.

    python benchmarks/editor.py

Serves web/ on this machine, opens the editor outside ComfyUI with 50 tracks of 50 points, drags all
of them, then one of them, and opens five editors of 8 tracks of 12 points. Needs the playwright
package and Chromium (its path in CHROMIUM, /usr/bin/chromium without it). Exits 1 where a goal is
missed.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import statistics
import sys
import threading
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FRAME_MS = 1000 / 60
OPEN_MS = 100

PAGE = """<!doctype html><body class="dark-theme" style="margin:0;background:#222">
<link rel="stylesheet" href="/web/editor/editor.css">
<div id="node" style="width:760px;height:700px"></div>
<div id="five" style="display:flex"></div>
<script type="module">
import { Editor } from "/web/editor/editor.mjs";
import { translator } from "/web/editor/strings.mjs";
const port = { commit() {}, undo() {}, redo() {}, forced: () => ({}), saveLayers() {},
  sources: () => ({ frames: [], video: null, masks: [] }) };
window.open_ = (home, doc) => {
  const editor = new Editor(port, translator("en"));
  editor.fullscreen.rehome(home);
  editor.load(doc);
  editor.follow();
  return editor;
};
window.ready = true;
</script>"""

OPEN = "(doc) => { window.editor = open_(document.getElementById('node'), doc) }"

DRAG = """async (indices) => {
  const { editor } = window;
  const { store, controller } = editor;
  const { doc } = store.state;
  const chosen = indices ?? doc.tracks.keys();
  store.set({ tool: "select", selection: new Map([...chosen].map(
    (i) => [doc.tracks[i].id, new Set(doc.tracks[i].points.keys())])) });
  const view = editor.view();
  const { x, y } = doc.tracks[indices?.[0] ?? 0].points[25];
  const css = { x: x * doc.width * view.scale + view.x, y: y * doc.height * view.scale + view.y };
  const press = (dx) => ({ css: { x: css.x + dx, y: css.y + dx / 2 }, button: 0, pointer: "mouse",
    shift: false, alt: false, ctrl: false });
  controller.down(press(0));
  const work = [], frames = [];
  let last = 0;
  for (let i = 0; i < 130; i++) {
    const time = await new Promise(requestAnimationFrame);
    if (i > 10) frames.push(time - last);
    last = time;
    const began = performance.now();
    controller.move(press(20 * Math.sin(i / 9) + 5));
    editor.draw();
    editor.canvas.getContext("2d").getImageData(0, 0, 1, 1);
    if (i > 10) work.push(performance.now() - began);
  }
  controller.up(press(5));
  return { work, frames };
}"""

OPEN_FIVE = """async (doc) => {
  const began = performance.now();
  for (let i = 0; i < 5; i++) {
    const home = document.createElement("div");
    home.style.cssText = "width:720px;height:660px;flex:none";
    document.getElementById("five").append(home);
    open_(home, doc).draw();
  }
  return performance.now() - began;
}"""


def document(count: int, length: int) -> dict[str, object]:
    """`count` wavy splines of `length` points."""
    tracks = []
    for n in range(count):
        points = [
            {"x": 0.05 + 0.9 * i / length, "y": 0.05 + 0.9 * n / count + 0.02 * ((i * 7 + n) % 5)}
            for i in range(length)
        ]
        tracks.append({"id": f"t{n}", "points": points})
    return {"version": 1, "width": 720, "height": 480, "frames": 49, "tracks": tracks}


class Handler(http.server.SimpleHTTPRequestHandler):
    """The repository's files, and the page."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
    }

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        body = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def measure(page: Page) -> dict[str, float]:
    """Milliseconds: the work of a frame (edit, sample, paint, readback), and between frames."""
    page.wait_for_function("window.ready === true")
    page.evaluate(OPEN, document(50, 50))
    page.wait_for_timeout(300)
    result = {}
    for name, tracks in (("all 50 tracks", None), ("one track", [20])):
        times = page.evaluate(DRAG, tracks)
        result[f"{name}: work, median"] = statistics.median(times["work"])
        result[f"{name}: work, 95 %"] = sorted(times["work"])[int(0.95 * len(times["work"]))]
        result[f"{name}: between frames, median"] = statistics.median(times["frames"])
    result["opening five editors"] = page.evaluate(OPEN_FIVE, document(8, 12))
    return result


def main() -> int:
    handler = functools.partial(Handler, directory=str(ROOT))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        result = measure(page)
        browser.close()
    server.shutdown()
    goals = {name: OPEN_MS if "opening" in name else FRAME_MS for name in result}
    missed = [name for name, value in result.items() if value > goals[name] * 1.02]
    sys.stdout.write(
        json.dumps({name: round(value, 2) for name, value in result.items()}, indent=1)
    )
    sys.stdout.write("".join(f"\nmissed: {name}" for name in missed) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
