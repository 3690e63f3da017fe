"""A video that is tracked on the real server opens in the editor, and is measured by its paths."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import discs
import numpy as np
import pytest
from editor_page import Graph, drop, places
from PIL import Image

HEIGHT, WIDTH, FRAMES = 96, 128, 9
PATH = discs.straight((30, 30), (90, 60), FRAMES)


def prompt(base: Path) -> dict[str, Any]:
    """Frames on disk to a video, tracked, written, and measured against what was tracked."""
    nodes: dict[str, Any] = {}
    for time, frame in enumerate(discs.video([PATH], (HEIGHT, WIDTH), 14.0)):
        name = f"measuring{time}.png"
        Image.fromarray(frame.numpy()).save(base / "input" / name)
        nodes[f"load{time}"] = {"class_type": "LoadImage", "inputs": {"image": name}}
        inputs = {"image1": [f"load{time}", 0]} if time == 0 else {}
        if time:
            before = "load0" if time == 1 else f"batch{time - 1}"
            inputs = {"image1": [before, 0], "image2": [f"load{time}", 0]}
            nodes[f"batch{time}"] = {"class_type": "ImageBatch", "inputs": inputs}
    frames = [f"batch{FRAMES - 1}", 0]
    chosen = {"tracker": "lucas_kanade", "weights": "none"}
    track = {"frames": frames, "points": "30,30", "tolerance": 1.0, "fps": 8.0, "mask_frame": 0}
    nodes["track"] = {"class_type": "Tora2TrackVideo", "inputs": {**track, **chosen}}
    written = {"filename_prefix": "tora2/tracked", "format": "document"}
    nodes["write"] = {
        "class_type": "Tora2ExportTrajectories",
        "inputs": {"trajectories": ["track", 0], **written},
    }
    measured = {"frames": frames, "trajectories": ["track", 0], "anchor": "thing", "scale": 1}
    nodes["measure"] = {"class_type": "Tora2MeasureTrajectory", "inputs": {**measured, **chosen}}
    nodes["shown"] = {"class_type": "PreviewImage", "inputs": {"images": ["measure", 0]}}
    nodes["chart"] = {"class_type": "PreviewImage", "inputs": {"images": ["measure", 1]}}
    return nodes


@pytest.fixture(scope="module")
def tracked(server: Any) -> Any:
    """What the server ran, once for both renderers: it would not run the same prompt again."""
    with ThreadPoolExecutor(1) as other:  # the browser's loop runs in this thread
        return other.submit(server.run, prompt(server.base)).result()


def test_a_tracked_video_opens_in_the_editor(server: Any, tracked: Any, graph: Graph) -> None:
    assert tracked.outcome == "execution_success", tracked.messages[-1]
    said = {m["node"]: m["output"] for m in tracked.of("executed")}
    text = said["measure"]["text"]
    text = text if isinstance(text, str) else text[0]
    assert "TrajError" in text and "lucas_kanade" in text
    (file,) = server.files(tracked)["write"]
    written = json.loads(file.read_text())
    graph.add()
    drop(graph, "tracked.json", "application/json", file.read_bytes())
    opened = graph.value()
    assert len(opened["tracks"]) == 1 and written["frames"] == FRAMES
    found = np.array(places(opened))[[0, -1]] * [WIDTH, HEIGHT]
    assert np.abs(found - PATH[[0, -1]]).max() < 2
