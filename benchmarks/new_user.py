"""Two placed characters on two paths, from an empty graph, every action counted and pictured.

`python benchmarks/new_user.py URL FOLDER [--nodes2]`, with a running ComfyUI that has this pack,
goes the two ways that the help page of Tora2 Place Entities tells, as a hand would; no model runs.
"""

import argparse
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from playwright import sync_api

PLACE, CUT, PICTURE = "Tora2PlaceEntities", "Tora2CutOut", "Tora2ExamplePicture"
READY = f"!!(window.app?.graph && LiteGraph?.registered_node_types?.{PLACE})"
ON_SCREEN = """const screen = (x, y) => {
  const { offset, scale } = app.canvas.ds, box = app.canvas.canvas.getBoundingClientRect();
  return [(x + offset[0]) * scale + box.left, (y + offset[1]) * scale + box.top];
};
const node = (type, k = 0) => app.graph.nodes.filter((n) => n.type === type)[k];"""
SOCKET = """([type, name, out, k]) => { %s
  const n = node(type, k), slots = out ? n.outputs : n.inputs;
  const [x, y] = n.getConnectionPos(!out, slots.findIndex((slot) => slot.name === name));
  return screen(x, y); }"""
TITLE = "([type]) => { %s const n = node(type); return screen(n.pos[0] + 60, n.pos[1] - 15); }"
ARROW = """([type, k]) => { %s const n = node(type, k), w = n.widgets[0];
  return screen(n.pos[0] + n.size[0] - 22, n.pos[1] + w.last_y + 10); }"""
SHOWN = """(type) => {
  const n = app.graph.nodes.find((n) => n.type === type);
  return Boolean(app.nodeOutputs[String(n.id)]?.images);
}"""

Spot = tuple[float, float]


class Hand:
    """A page, and what was done on it."""

    def __init__(self, page: sync_api.Page, folder: Path) -> None:
        self.page, self.folder, self.count = page, folder, 0
        page.evaluate("app.graph.clear(); app.canvas.ds.scale = 0.6; app.canvas.ds.offset = [0, 0]")

    def act(self, words: str, does: Callable[[], object]) -> None:
        does()
        self.count += 1
        self.page.wait_for_timeout(900)
        self.page.screenshot(path=self.folder / f"{self.count:02}.png")
        print(f"{self.count:2} {words}", flush=True)

    def spot(self, script: str, *given: object) -> Spot:
        x, y = self.page.evaluate(script % ON_SCREEN, list(given))
        return x, y

    def socket(self, kind: str, name: str, out: bool = False, k: int = 0) -> Spot:
        return self.spot(SOCKET, kind, name, out, k)

    def pull(self, start: Spot, end: Spot) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
        mouse.move(*end, steps=4)
        mouse.up()

    def put(self, x: float, y: float) -> None:
        self.page.mouse.move(x - 5, y - 5)
        self.page.wait_for_timeout(200)
        self.act("click: it is put there", lambda: self.page.mouse.click(x, y))

    def press(self, key: str) -> None:
        self.act(key, lambda: self.page.keyboard.press(key))

    def type(self, text: str) -> None:
        self.act(f"type '{text}'", lambda: self.page.keyboard.type(text, delay=30))

    def on_stage(self, x: float, y: float, width: int = 720) -> Spot:
        """Where a fraction of the editor's frame is."""
        box = self.page.locator(".tora2-canvas:visible").first.bounding_box()
        assert box is not None
        scale = 0.88 * min(box["width"] / width, box["height"] / 480)
        left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        return left + (x - 0.5) * width * scale, top + (y - 0.5) * 480 * scale

    def finish(self, name: str) -> None:
        self.page.wait_for_function(SHOWN, arg=PLACE, timeout=300_000)
        self.page.wait_for_timeout(2500)
        self.page.screenshot(path=self.folder / "result.png")
        print(f"{name}: {self.count} actions\n")


def by_template(hand: Hand) -> None:
    page, click = hand.page, hand.page.mouse.click
    hand.act("open Templates", page.get_by_role("button", name="Templates").first.click)
    hand.act("choose tora2", page.get_by_text("tora2", exact=True).first.click)
    opened = page.get_by_text("tora2_place_entities", exact=True).last
    hand.act("open tora2_place_entities", opened.click)
    page.locator(".tora2-canvas:visible").first.wait_for()
    page.wait_for_timeout(2000)
    for words, start, end in (
        ("the first's start", (0.1, 0.72), (0.15, 0.9)),
        ("the second's end", (0.36, 0.7), (0.2, 0.62)),
    ):
        spots = hand.on_stage(*start, 832), hand.on_stage(*end, 832)
        hand.act(f"drag {words}", lambda spots=spots: hand.pull(*spots))
    hand.act("click the title of the clip", lambda: click(*hand.spot(TITLE, PLACE)))
    play = page.get_by_role("button", name="Execute to selected output nodes").first
    hand.act("press the play button above it", play.click)


def by_hand(hand: Hand) -> None:
    page, mouse = hand.page, hand.page.mouse
    hand.act("double-click the empty canvas", lambda: mouse.dblclick(1300, 200))
    hand.type("place entities")
    hand.press("Enter")
    hand.put(1300, 200)

    def pull(kind: str, name: str, end: Spot) -> None:
        start = hand.socket(kind, name)
        hand.act(f"pull {name} into the empty canvas", lambda: hand.pull(start, end))

    pull(PLACE, "trajectories", (1000, 600))
    editor = page.get_by_text("Tora2 Trajectory Editor", exact=True).first
    hand.act("choose Tora2 Trajectory Editor", editor.click)
    hand.put(760, 440)
    pull(PLACE, "cutouts.cutout0", (1000, 120))
    hand.press("Enter")
    hand.put(980, 120)
    pull(CUT, "image", (700, 130))
    hand.type("example picture")
    hand.press("Enter")
    hand.put(680, 120)
    masks = hand.socket(PICTURE, "MASK", True), hand.socket(CUT, "mask")
    hand.act("pull MASK onto mask", lambda: hand.pull(*masks))

    def around() -> None:
        page.keyboard.down("Control")
        hand.pull((600, 100), (1120, 380))
        page.keyboard.up("Control")

    hand.act("Control-drag around the two", around)
    hand.press("Control+c")
    mouse.move(120, 150)
    hand.press("Control+v")
    both = hand.socket(CUT, "cutout", True, 1), hand.socket(PLACE, "cutouts.cutout1")
    hand.act("pull the copy's cutout onto cutout1", lambda: hand.pull(*both))
    arrow = hand.spot(ARROW, PICTURE, 1)
    hand.act("press the arrow beside the copy's fox", lambda: mouse.click(*arrow))
    for start, end in (((0.2, 0.7), (0.45, 0.4)), ((0.8, 0.7), (0.6, 0.35))):
        first, last = hand.on_stage(*start), hand.on_stage(*end)
        hand.act("click where it starts", lambda spot=first: mouse.click(*spot))
        hand.act("double-click where it ends", lambda spot=last: mouse.dblclick(*spot))
    hand.act("Run", page.get_by_role("button", name="Run", exact=True).first.click)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path, help="for a picture of every action")
    parser.add_argument("--nodes2", action="store_true", help="the template alone, in Nodes 2.0")
    given = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for way in (by_template,) if given.nodes2 else (by_template, by_hand):
            folder = given.folder / way.__name__
            folder.mkdir(parents=True, exist_ok=True)
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.goto(given.url)
            page.wait_for_function(READY, timeout=240_000)
            page.evaluate(
                """async (vue) => {
                  const set = (name, value) => app.extensionManager.setting.set(name, value);
                  await set("Comfy.TutorialCompleted", true);
                  await set("Comfy.VueNodes.Enabled", vue);
                }""",
                given.nodes2,
            )
            page.wait_for_timeout(2500)
            page.keyboard.press("Escape")
            hand = Hand(page, folder)
            way(hand)
            hand.finish(way.__name__)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
