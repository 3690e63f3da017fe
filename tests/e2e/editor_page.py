"""What the editor's tests ask of the page: a graph with editors, fingers, dropped files."""

import base64
import io
import json
import time
from typing import Any

import pytest

NODE = "Tora2TrajectoryEditor"
MARGIN = 0.06  # of the canvas, around the frame

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
        # On a busy machine the host may still be opening its workflow.
        active = "!!app.extensionManager.workflow.activeWorkflow?.changeTracker"
        self.page.wait_for_function(active)
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

    def becomes(self, value: Any, seconds: float = 20) -> bool:
        """Whether the document comes to be a value, late where the host is busy, and stays so."""
        end = time.monotonic() + seconds
        while self.value() != value and time.monotonic() < end:
            self.settle(100)
        self.settle()
        return bool(self.value() == value)

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


def places(document: dict[str, Any], track: int = 0) -> list[tuple[float, float]]:
    return [(point["x"], point["y"]) for point in document["tracks"][track]["points"]]


class Fingers:
    """Touches of the page: one event with the fingers that are then down."""

    def __init__(self, graph: Graph) -> None:
        self.session = graph.page.context.new_cdp_session(graph.page)

    def __call__(self, kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
        event = {"type": f"touch{kind}", "touchPoints": points}
        self.session.send("Input.dispatchTouchEvent", event)


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
