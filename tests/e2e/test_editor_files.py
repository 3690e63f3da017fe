"""What lies behind the paths, and files that are dropped on the editor."""

import base64
import io
import random

import numpy as np
import pytest
from editor_page import (
    DOCUMENT,
    Graph,
    clip,
    drop,
    level,
    places,
)


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
    graph.page.evaluate("app.graph.clear()")
    graph.add()  # at the place where the editor waits for its node to come back
    graph.settle(300)
    assert graph.find(".tora2-canvas").evaluate(middle) != [255, 0, 0, 255]


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


def test_the_paths_are_recorded_frame_by_frame(graph: Graph) -> None:
    av = pytest.importorskip("av")
    graph.add()
    track = {**DOCUMENT["tracks"][1], "end": 16}  # type: ignore[index]
    points = [{"x": 0.1, "y": 0.5}, {"x": 0.9, "y": 0.5}]
    sizes = {"width": 360, "height": 240, "frames": 17, "fps": 16}
    graph.show({**DOCUMENT, **sizes, "tracks": [{**track, "points": points}]})
    for _ in range(3):  # a browser without time lets frames go
        graph.find("[data-action=menu]").click()
        with graph.page.expect_download(timeout=90_000) as download:
            graph.find(".tora2-item").get_by_text("Video of the paths").click()
        assert download.value.suggested_filename in ("paths.mp4", "paths.webm")
        with av.open(str(download.value.path())) as file:
            (video,) = file.streams.video
            pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode()]
        if len(pictures) == 17:
            break
    assert (video.width, video.height, len(pictures)) == (360, 240, 17)
    # Where most of 12 pixels differs from what all pictures have in common.
    shown = np.stack(pictures).astype(float)
    away = abs(shown - np.median(shown, axis=0)).sum(-1)
    cells = away.reshape(17, 240 // 12, 12, 360 // 12, 12).mean((2, 4))
    marker = cells.max(1).argmax(1) * 12 + 6
    assert abs(marker - np.linspace(36, 324, 17)).max() <= 12  # each frame once, at its place
