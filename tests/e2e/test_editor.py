"""The trajectory editor in headless Chromium on a real ComfyUI server, in both renderers."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the editor's e2e tests need the playwright package"
)

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
NODE = "Tora2TrajectoryEditor"
MARGIN = 0.06  # of the canvas, around the frame
START_S = 180

DOCUMENT = {
    "version": 1,
    "width": 720,
    "height": 480,
    "frames": 49,
    "fps": 8,
    "entities": [{"id": "cat", "name": "<img src=x onerror=window.pwned=1>", "color": "#e4572e"}],
    "tracks": [
        {
            "id": "t1",
            "entity": "cat",
            "curve": "spline",
            "points": [
                {"x": 0.2, "y": 0.7},
                {"x": 0.5, "y": 0.3, "frame": 20},
                {"x": 0.8, "y": 0.6},
            ],
            "start": 0,
            "end": 48,
            "easing": "linear",
        },
        {
            "id": "t2",
            "entity": None,
            "curve": "linear",
            "points": [{"x": 0.3, "y": 0.8}],
            "start": 0,
            "end": 48,
            "easing": "linear",
        },
    ],
}


def _host() -> Path | None:
    places = [REPOSITORY.parents[1], Path.home() / "comfy" / "ComfyUI"]
    if "COMFYUI_PATH" in os.environ:
        places = [Path(os.environ["COMFYUI_PATH"])]
    return next((place for place in places if (place / "main.py").is_file()), None)


HOST = _host()
pytestmark = [
    pytest.mark.skipif(HOST is None, reason="no ComfyUI found: set COMFYUI_PATH to a checkout"),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium found: install it or set CHROMIUM"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with this repository as its only custom node."""
    base = tmp_path_factory.mktemp("comfy")
    for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
        (base / name).mkdir()
    (base / "custom_nodes" / "tora2").symlink_to(REPOSITORY)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--cpu", "--base-directory", str(base), "--disable-api-nodes", "--port", str(port)]
    with (base / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "main.py", *arguments, "--database-url", "sqlite:///:memory:"],
            cwd=HOST,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url, server, base / "server.log")
            yield url
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/object_info/{NODE}", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"ComfyUI did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Graph:
    """A page with the frontend, and what the tests ask of it."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def add(self, x: int = 160, y: int = 140) -> int:
        """Add an editor as one step of the host's history."""
        script = """([type, x, y]) => {
          const node = LiteGraph.createNode(type);
          node.pos = [x, y];
          app.graph.add(node);
          app.canvas.ds.scale = 1;
          app.canvas.ds.offset = [0, 0];
          app.canvas.setDirty(true, true);
          app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState();
          return node.id;
        }"""
        identifier = self.page.evaluate(script, [NODE, x, y])
        self.find(".tora2-canvas").first.wait_for()
        self.settle()
        return int(identifier)

    def find(self, selector: str) -> Any:
        return self.page.locator(f"{selector}:visible")

    def settle(self, milliseconds: int = 350) -> None:
        self.page.wait_for_timeout(milliseconds)

    def value(self, index: int = 0) -> Any:
        script = "(i) => app.canvas.graph.nodes.filter((n) => n.type === $T)[i].widgets[0].value"
        return self.page.evaluate(script.replace("$T", json.dumps(NODE)), index)

    def show(self, value: Any, index: int = 0) -> None:
        script = """([i, value]) => {
          app.canvas.graph.nodes[i].widgets[0].value = value;
          app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState();
        }"""
        self.page.evaluate(script, [index, value])
        self.settle()

    def place(self, x: float, y: float, index: int = 0) -> tuple[float, float]:
        """Where a fraction of the frame is on the screen, while the view fits the frame."""
        box = self.find(".tora2-canvas").nth(index).bounding_box()
        room = 1 - 2 * MARGIN
        scale = min(box["width"] * room / 720, box["height"] * room / 480)
        return (
            box["x"] + box["width"] / 2 + (x - 0.5) * 720 * scale,
            box["y"] + box["height"] / 2 + (y - 0.5) * 480 * scale,
        )

    def click(self, x: float, y: float, index: int = 0) -> None:
        self.page.mouse.click(*self.place(x, y, index))
        self.settle(450)  # longer than a double click

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.place(*start))
        mouse.down()
        mouse.move(*self.place(*end), steps=5)
        mouse.up()
        self.settle()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.settle(700 if "Control+z" in keys or "Control+y" in keys else 150)


@pytest.fixture(params=["classic", "nodes2"], scope="module")
def loaded(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    """The frontend in one of its two renderers, with the list of its errors."""
    context = browser.new_context(viewport={"width": 1600, "height": 1100})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    ready = "!!(window.app?.graph && LiteGraph?.registered_node_types?.$T)".replace("$T", NODE)
    page.wait_for_function(ready, timeout=60_000)
    page.evaluate(
        """async (vue) => {
          await app.extensionManager.setting.set("Comfy.TutorialCompleted", true);
          await app.extensionManager.setting.set("Comfy.VueNodes.Enabled", vue);
        }""",
        request.param == "nodes2",
    )
    page.wait_for_timeout(600)
    page.keyboard.press("Escape")
    yield page, errors
    context.close()


@pytest.fixture
def graph(loaded: tuple[Any, list[str]]) -> Iterator[Graph]:
    """An empty graph."""
    page, errors = loaded
    page.evaluate("app.canvas.setGraph(app.rootGraph); app.graph.clear()")
    page.wait_for_timeout(200)
    yield Graph(page)
    assert errors == []


def places(document: dict[str, Any], track: int = 0) -> list[tuple[float, float]]:
    return [(point["x"], point["y"]) for point in document["tracks"][track]["points"]]


def test_drawing_and_the_hosts_own_undo(graph: Graph) -> None:
    graph.add()
    for x, y in ((0.2, 0.7), (0.4, 0.25), (0.7, 0.6)):
        graph.click(x, y)
    graph.press("Enter")
    drawn = graph.value()
    assert [len(track["points"]) for track in drawn["tracks"]] == [3]
    graph.press("Control+z")
    assert len(places(graph.value())) == 2
    graph.press("Control+z")
    assert len(places(graph.value())) == 1
    graph.press("Control+y")
    graph.press("Control+y")
    assert graph.value() == drawn
    graph.press("v")
    graph.drag((0.4, 0.25), (0.45, 0.4))
    moved = places(graph.value())[1]
    assert moved == pytest.approx((0.45, 0.4), abs=0.02)
    graph.press("Control+z")
    assert graph.value() == drawn
    graph.press("Control+a", "Delete")
    assert graph.value()["tracks"] == []
    graph.find("[data-action=undo]").click()
    graph.settle(700)
    assert graph.value() == drawn


def test_freehand_anchor_and_keys(graph: Graph) -> None:
    graph.add()
    graph.find(".tora2-canvas").focus()
    graph.press("b")
    graph.drag((0.1, 0.1), (0.8, 0.15))
    graph.press("a")
    graph.click(0.6, 0.8)
    stroke, anchor = graph.value()["tracks"]
    assert len(stroke["points"]) >= 2 and len(anchor["points"]) == 1
    before = places(graph.value(), 1)[0]
    graph.press("ArrowRight", "Shift+ArrowDown")
    x, y = places(graph.value(), 1)[0]
    assert (x - before[0]) * 720 == pytest.approx(1, abs=0.01)
    assert (y - before[1]) * 480 == pytest.approx(10, abs=0.01)
    graph.press("Control+d")
    assert len(graph.value()["tracks"]) == 3


@pytest.mark.parametrize("zoom", [0.6, 1.0, 1.5])
def test_coordinates_at_every_zoom(graph: Graph, zoom: float) -> None:
    graph.add()
    graph.page.evaluate(
        "(z) => { app.canvas.ds.scale = z; app.canvas.ds.offset = [-60, -60];"
        " app.canvas.setDirty(true, true); }",
        zoom,
    )
    graph.settle(600)
    graph.find(".tora2-canvas").focus()
    graph.press("s", "a")  # no snapping, anchors
    box = graph.find(".tora2-canvas").bounding_box()
    room = 1 - 2 * MARGIN
    scale = min(box["width"] * room / 720, box["height"] * room / 480)
    for x, y in ((0.2, 0.3), (0.55, 0.45)):
        screen = [round(value) for value in graph.place(x, y)]
        graph.page.mouse.click(*screen)
        graph.settle()
        exact = (
            0.5 + (screen[0] - box["x"] - box["width"] / 2) / (720 * scale),
            0.5 + (screen[1] - box["y"] - box["height"] / 2) / (480 * scale),
        )
        point = places(graph.value(), -1)[0]
        assert abs(point[0] - exact[0]) * 720 < 0.5
        assert abs(point[1] - exact[1]) * 480 < 0.5


def test_saving_cloning_and_subgraphs_keep_the_document(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    saved = graph.page.evaluate("JSON.stringify(app.graph.serialize())")
    assert json.loads(saved)["nodes"][0]["widgets_values"] == [DOCUMENT]
    graph.page.evaluate("(text) => app.loadGraphData(JSON.parse(text))", saved)
    graph.settle(1000)
    assert graph.value() == DOCUMENT
    graph.page.evaluate(
        """() => {
          const node = app.graph.nodes[0];
          app.canvas.copyToClipboard([node]);
          app.canvas.pasteFromClipboard({ position: [1000, 140] });
        }"""
    )
    graph.settle(1000)
    assert graph.value(1) == DOCUMENT
    graph.find(".tora2-canvas").first.focus()
    graph.press("Control+a", "Delete")
    assert graph.value(0)["tracks"] == []
    assert graph.value(1) == DOCUMENT
    graph.page.evaluate(
        """() => {
          app.graph.convertToSubgraph(new Set([app.graph.nodes[1]]));
          app.canvas.setGraph([...app.rootGraph.subgraphs.values()][0]);
        }"""
    )
    graph.settle(1000)
    assert graph.value() == DOCUMENT
    graph.find(".tora2-canvas").first.wait_for()


def test_copy_and_paste_between_editors(graph: Graph) -> None:
    graph.add(100, 140)
    graph.add(900, 140)
    graph.show(DOCUMENT, 0)
    graph.find(".tora2-canvas").nth(0).focus()
    graph.press("Control+a", "Control+c")
    graph.find(".tora2-canvas").nth(1).focus()
    graph.press("Control+v")
    pasted = graph.value(1)
    assert [len(track["points"]) for track in pasted["tracks"]] == [3, 1]
    assert pasted["entities"][0]["name"] == DOCUMENT["entities"][0]["name"]  # type: ignore[index]
    assert graph.value(0) == DOCUMENT


JUNK = {
    "wrong version": {"version": "one", "tracks": []},
    "not a number": {**DOCUMENT, "fps": "NaN"},
    "strings": {**DOCUMENT, "tracks": [{"id": "t1", "points": [{"x": "0.1", "y": "0.2"}]}]},
    "a list": [1, 2, 3],
    "text": "<script>window.pwned = 1</script>",
    "a megabyte": {**DOCUMENT, "tracks": [{"id": "t1", "points": [{"x": 0.5, "y": 0.5}] * 40_000}]},
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_said_kept_and_harmless(graph: Graph, name: str) -> None:
    graph.add()
    graph.show(JUNK[name])
    banner = graph.find(".tora2-banner")
    assert banner.is_visible() and len(banner.inner_text()) > 20
    graph.find(".tora2-canvas").click()
    assert graph.value() == JUNK[name]
    assert graph.page.evaluate("window.pwned") is None
    graph.find("[data-action=menu]").click()
    with graph.page.expect_download() as download:
        graph.find(".tora2-item").first.click()
    text = Path(download.value.path()).read_text()
    assert (text if isinstance(JUNK[name], str) else json.loads(text)) == JUNK[name]


def test_a_newer_document_is_shown_and_left_alone(graph: Graph) -> None:
    newer = {**DOCUMENT, "version": 2, "camera": {"zoom": 1.5}}
    graph.add()
    graph.show(newer)
    assert "2" in graph.find(".tora2-banner").inner_text()
    assert graph.find("[data-track]").count() == 2
    graph.find(".tora2-canvas").focus()
    graph.press("Control+a", "Delete", "p")
    graph.click(0.5, 0.5)
    assert graph.value() == newer


def test_names_are_text(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    assert graph.page.locator(".tora2-editor img").count() == 0
    name = graph.find(".tora2-layers input.tora2-name").input_value()
    assert name == DOCUMENT["entities"][0]["name"]  # type: ignore[index]
    assert graph.page.evaluate("window.pwned") is None


def test_connected_sizes_win(graph: Graph) -> None:
    graph.add(500, 140)
    graph.show(DOCUMENT)
    graph.page.evaluate(
        """() => {
          const editor = app.graph.nodes[0];
          for (const [name, value] of [["width", 512], ["frames", 25]]) {
            const number = LiteGraph.createNode("PrimitiveInt");
            app.graph.add(number);
            number.widgets[0].value = value;
            const slot = editor.inputs.findIndex((input) => input.name === name);
            number.connect(0, editor, slot);
          }
        }"""
    )
    graph.settle()
    fields = graph.find(".tora2-inspector input")
    assert [fields.nth(i).input_value() for i in range(3)] == ["512", "480", "25"]
    assert fields.nth(0).is_disabled() and fields.nth(1).is_enabled()
    assert graph.value() == DOCUMENT  # until it is edited
    graph.page.evaluate(
        """() => {
          app.graph.nodes[1].widgets[0].value = 640;
          app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState();
        }"""
    )
    graph.settle()
    assert fields.nth(0).input_value() == "640"
    graph.page.evaluate("app.graph.nodes[0].disconnectInput('width')")
    graph.settle()
    assert fields.nth(0).input_value() == "720"
    graph.find(".tora2-canvas").focus()
    graph.press("Control+a", "ArrowRight")
    edited = graph.value()
    assert (edited["width"], edited["frames"], edited["tracks"][0]["end"]) == (720, 25, 24)
    assert edited["tracks"][0]["points"][1]["frame"] == 10


def test_a_run_shows_a_still_and_the_background(graph: Graph) -> None:
    graph.add(500, 140)
    fresh = 8 + random.random()  # a cached run would have nothing to show
    graph.show({**DOCUMENT, "width": 96, "height": 64, "frames": 5, "fps": fresh, "tracks": []})
    graph.page.evaluate(
        """async () => {
          const editor = app.graph.nodes[0];
          const picture = LiteGraph.createNode("EmptyImage");
          app.graph.add(picture);
          picture.connect(0, editor, 0);
          const view = LiteGraph.createNode("PreviewImage");
          app.graph.add(view);
          editor.connect(2, view, 0);
          await app.queuePrompt(0);
        }"""
    )
    graph.page.wait_for_function(
        "app.nodeOutputs[String(app.graph.nodes[0].id)]?.images?.length === 1", timeout=60_000
    )
    output = graph.page.evaluate("app.nodeOutputs[String(app.graph.nodes[0].id)]")
    assert output["tora2_size"] == [{"width": 96, "height": 64, "frames": 5}]
    assert len(output["tora2_background"]) == 1


def test_a_dropped_picture_lies_behind_and_is_never_stored(graph: Graph) -> None:
    graph.add()
    before = graph.value()
    drop = """async (element) => {
      const canvas = new OffscreenCanvas(30, 20);
      const context = canvas.getContext("2d");
      context.fillStyle = "rgb(255, 0, 0)";
      context.fillRect(0, 0, 30, 20);
      const data = new DataTransfer();
      data.items.add(new File([await canvas.convertToBlob()], "red.png", { type: "image/png" }));
      element.dispatchEvent(
        new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
      );
    }"""
    graph.find(".tora2-editor").evaluate(drop)
    graph.settle(800)
    middle = """(canvas) => {
      const { data } = canvas.getContext("2d")
        .getImageData(canvas.width / 2, canvas.height / 2, 1, 1);
      return [...data];
    }"""
    assert graph.find(".tora2-canvas").evaluate(middle) == [255, 0, 0, 255]
    assert graph.value() == before
    saved = graph.page.evaluate("JSON.stringify(app.graph.serialize())")
    assert not any(trace in saved for trace in ("red.png", "blob:", "base64"))
    assert graph.page.evaluate("app.graph.nodes.length") == 1  # the host made no node of it


def test_the_timeline_in_the_page(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    box = graph.find(".tora2-timeline").bounding_box()
    left, right = box["x"] + 76, box["x"] + box["width"] - 12  # frames 0 and 48
    y = box["y"] + 30
    mouse = graph.page.mouse
    mouse.move(right, y)
    mouse.down()
    mouse.move(left + (right - left) * 36 / 48, y, steps=4)
    mouse.up()
    graph.settle()
    assert graph.value()["tracks"][0]["end"] == 36
    graph.find(".tora2-canvas").focus()
    graph.press("Home", ".", ".")
    assert graph.find(".tora2-clock").inner_text().startswith("2 / 48 · 0.25 s")
    graph.press(" ")
    graph.settle(900)
    graph.press(" ")
    assert not graph.find(".tora2-clock").inner_text().startswith("2 / 48")


def test_full_screen_keeps_the_hosts_undo(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    graph.find(".tora2-canvas").focus()
    graph.press("f")
    assert graph.find(".tora2-page .tora2-canvas").count() == 1
    graph.press("Control+a", "Delete")
    assert graph.value()["tracks"] == []
    graph.press("Control+z")
    assert graph.value() == DOCUMENT
    assert graph.find(".tora2-page .tora2-canvas").count() == 1
    graph.press("Escape", "Escape")
    assert graph.find(".tora2-page").count() == 0
    assert graph.find(".tora2-mount .tora2-canvas").count() == 1
