"""The trajectory editor in headless Chromium on a real ComfyUI server, in both renderers."""

import base64
import io
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
    # A node of the same id would show what the one of an earlier test has put out.
    page.evaluate("app.canvas.setGraph(app.rootGraph); app.graph.clear(); app.nodeOutputs = {}")
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
    graph.settle(800)
    stage = graph.find(".tora2-canvas").bounding_box()
    assert stage["height"] > 180  # the still takes no room from it
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
        .getImageData(canvas.width / 2, canvas.height * 0.4, 1, 1);
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


class Fingers:
    """Touches of the page: one event with the fingers that are then down."""

    def __init__(self, graph: Graph) -> None:
        self.session = graph.page.context.new_cdp_session(graph.page)

    def __call__(self, kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
        event = {"type": f"touch{kind}", "touchPoints": points}
        self.session.send("Input.dispatchTouchEvent", event)


def test_one_finger_draws_and_two_zoom_and_pan(graph: Graph) -> None:
    graph.add()
    touch = Fingers(graph)
    graph.find(".tora2-canvas").focus()
    graph.press("b", "s")
    x, y = graph.place(0.2, 0.8)
    touch("Start", (x, y))
    for i in range(1, 9):
        touch("Move", (x + 20 * i, y - 12 * i * (9 - i) / 4))
    touch("End")
    graph.settle()
    drawn = graph.value()
    assert len(drawn["tracks"]) == 1 and len(drawn["tracks"][0]["points"]) >= 3
    assert places(drawn)[0] == pytest.approx((0.2, 0.8), abs=0.02)

    graph.press("a")
    box = graph.find(".tora2-canvas").bounding_box()
    scale = min(box["width"] / 720, box["height"] / 480) * (1 - 2 * MARGIN)
    host = graph.page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]")
    x, y = graph.place(0.5, 0.5)
    touch("Start", (x - 40, y))
    touch("Start", (x - 40, y), (x + 40, y))
    for i in range(1, 9):  # apart to twice the distance, and 32 px to the right
        touch("Move", (x - 40 - i, y), (x + 40 + 9 * i, y))
    touch("End")
    graph.settle(500)
    assert graph.value() == drawn  # the first finger of two draws nothing
    assert graph.page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]") == host
    touch("Start", (x + 132, y + 20))
    touch("End")
    graph.settle()
    wanted = (0.5 + 100 / (720 * 2 * scale), 0.5 + 20 / (480 * 2 * scale))
    assert places(graph.value(), -1)[0] == pytest.approx(wanted, abs=0.004)


def test_a_pen_draws_and_its_pressure_does_not_matter(graph: Graph) -> None:
    graph.add()
    graph.find(".tora2-canvas").focus()
    graph.press("b")
    session = graph.page.context.new_cdp_session(graph.page)
    x, y = graph.place(0.2, 0.3)
    for i, kind in enumerate(["Pressed", *["Moved"] * 8, "Released"]):
        event = {"type": f"mouse{kind}", "x": x + 20 * i, "y": y + (i % 3) * 15, "button": "left"}
        held = {"buttons": 1, "clickCount": 1, "pointerType": "pen", "force": i / 10}
        session.send("Input.dispatchMouseEvent", event | held)
    graph.settle()
    (track,) = graph.value()["tracks"]
    assert len(track["points"]) >= 4
    assert all(set(point) == {"x", "y"} for point in track["points"])


def clip(frames: int = 16) -> bytes:
    """A WebM video whose frames grow brighter, ten levels at a time."""
    av = pytest.importorskip("av")
    import numpy as np

    stream = io.BytesIO()
    with av.open(stream, "w", format="webm") as container:
        video = container.add_stream("libvpx", rate=8)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for i in range(frames):
            picture = np.full((64, 96, 3), 30 + 10 * i, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
    return stream.getvalue()


DROP = """(element, [name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  element.dispatchEvent(
    new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
  );
}"""


def drop(graph: Graph, name: str, kind: str, content: bytes) -> None:
    text = base64.b64encode(content).decode()
    graph.find(".tora2-editor").evaluate(DROP, [name, kind, text])
    graph.settle(800)


def level(graph: Graph) -> int:
    """The level of red in the frame, above its middle."""
    script = """(canvas) => canvas.getContext("2d")
      .getImageData(canvas.width / 2, canvas.height * 0.4, 1, 1).data[0]"""
    return int(graph.find(".tora2-canvas").evaluate(script))


@pytest.mark.parametrize("way", ["dropped", "upstream"])
def test_a_video_behind_the_paths_follows_the_timeline(graph: Graph, way: str) -> None:
    graph.add(700, 140)
    empty = graph.value()
    if way == "dropped":
        drop(graph, "clip.webm", "video/webm", clip())
    else:
        graph.page.evaluate(
            """async (data) => {
              const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
              const form = new FormData();
              form.append("image", new File([bytes], "clip.webm", { type: "video/webm" }));
              form.append("overwrite", "true");
              await fetch("/upload/image", { method: "POST", body: form });
              const [load, parts] = ["LoadVideo", "GetVideoComponents"].map((type) => {
                const node = LiteGraph.createNode(type);
                app.graph.add(node);
                return node;
              });
              load.widgets[0].value = "clip.webm";
              load.connect(0, parts, 0);
              parts.connect(0, app.graph.nodes[0], 0);
            }""",
            base64.b64encode(clip()).decode(),
        )
        graph.settle(1200)
    graph.find(".tora2-canvas").focus()
    levels = []
    for key in ("Home", "End", "Home"):
        graph.press(key)
        graph.settle(700)
        levels.append(level(graph))
    assert levels == pytest.approx([30, 180, 30], abs=12)
    for _ in range(24):
        graph.page.keyboard.press(".")
    graph.settle(700)
    assert level(graph) == pytest.approx(105, abs=18)  # frame 24 of 49: frame 7 or 8 of 16
    assert graph.value() == empty
    saved = graph.page.evaluate("JSON.stringify(app.graph.serialize())")
    assert "blob:" not in saved and "base64" not in saved


def test_files_of_other_tools_are_dropped_in(graph: Graph) -> None:
    import numpy as np

    graph.add()
    frames = np.arange(49)
    path = np.stack([np.stack([100 + 5 * frames, 200 + 2 * frames], -1)] * 2, 1).astype(np.float32)
    seen = np.ones((49, 2), bool)
    seen[10:20, 1] = False
    for write in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        write(stream, track_path=path, track_visibility=seen)
        drop(graph, "tracks.npz", "application/octet-stream", stream.getvalue())
        tracks = graph.value()["tracks"]
        assert [(t["start"], t["end"]) for t in tracks] == [(0, 48), (0, 9), (20, 48)]
        assert places(graph.value())[-1] == pytest.approx((340 / 720, 296 / 480))
        graph.find(".tora2-canvas").focus()
        graph.press("Control+a", "Delete")
    drop(graph, "a.csv", "text/csv", b"frame,x,y\n0,10,20\n48,30,40\n")
    drop(graph, "b.txt", "text/plain", b"0,0\n128,128\n255,255\n")
    points = b'[[{"x": 1, "y": 2}, {"x": 300, "y": 200}]]'
    drop(graph, "c.json", "application/json", points)
    assert len(graph.value()["tracks"]) == 3
    kept = graph.value()
    drop(graph, "junk.npz", "application/octet-stream", b"PK\x03\x04" + bytes(range(256)))
    assert "npz" in graph.find(".tora2-status").inner_text()
    drop(graph, "junk.bin", "application/octet-stream", bytes(range(256)))
    assert graph.find(".tora2-status").inner_text().startswith("Nothing was imported")
    assert graph.value() == kept


def test_keys_alone_draw_a_track(graph: Graph) -> None:
    graph.add()
    graph.find(".tora2-canvas").focus()
    graph.press("Insert", "Insert", "Shift+ArrowDown", "Insert")
    (track,) = graph.value()["tracks"]
    assert len(track["points"]) == 3
    assert track["points"][1]["y"] == pytest.approx(0.5 + 10 / 480, abs=1e-4)


def test_a_long_list_of_layers_does_not_make_the_node_grow(graph: Graph) -> None:
    graph.add()
    before = graph.find(".tora2-editor").bounding_box()["height"]
    entities = [{"id": f"e{i}", "name": f"entity {i}", "color": "#e4572e"} for i in range(64)]
    graph.show({**DOCUMENT, "entities": entities, "tracks": []})
    assert graph.find(".tora2-layer").count() == 64
    assert graph.find(".tora2-editor").bounding_box()["height"] == before
    assert graph.find(".tora2-canvas").bounding_box()["height"] < before


def test_the_list_of_keys_is_read_with_keys(graph: Graph) -> None:
    graph.add()
    graph.show(DOCUMENT)
    graph.find(".tora2-canvas").focus()
    graph.press("Control+a", "?")
    sheet = graph.find(".tora2-sheet")
    graph.press("ArrowDown", "ArrowDown", "Delete")
    graph.settle()
    assert sheet.evaluate("(element) => element.scrollTop") > 20
    assert graph.value() == DOCUMENT
    graph.press("Escape")
    assert sheet.count() == 0
    graph.press("Shift+ArrowRight")
    assert graph.value() != DOCUMENT  # the keys are the stage's again
