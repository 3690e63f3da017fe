"""SVG in both directions, and Spline Path Control's scenes."""

import json
from pathlib import Path

import pytest
import torch

from tora2.trajectory import parse, sample
from tora2.trajectory.formats import load, loads, save

POINTS = [{"x": 0.1, "y": 0.8}, {"x": 0.4, "y": 0.2}, {"x": 0.7, "y": 0.9}, {"x": 0.9, "y": 0.1}]
BENT = [{"x": 0.1, "y": 0.9, "leave": [0.2, -0.4]}, {"x": 0.9, "y": 0.9, "arrive": [0, -0.2]}]
DOCUMENT = parse(
    {
        "version": 2,
        "width": 720,
        "height": 480,
        "frames": 17,
        "tracks": [
            {"id": "t1", "points": POINTS, "tension": 0.3},
            {"id": "t2", "points": POINTS[:3], "curve": "linear", "name": "a <b>"},
            {"id": "t3", "points": BENT},
            {"id": "t4", "points": POINTS[1:3]},
        ],
    }
)


def test_svg_is_written_as_it_is_drawn_and_read_back(tmp_path: Path) -> None:
    (file,) = save(DOCUMENT, tmp_path / "paths.svg")
    assert "<title>a &lt;b&gt;</title>" in file.read_text()
    back = sample(load(file, frames=17))
    torch.testing.assert_close(back.points, sample(DOCUMENT).points, atol=0.02, rtol=0)


def test_every_command_of_a_path() -> None:
    text = (
        '<svg viewBox="0 0 72 48"><path d="M0 0h36v24H0V0z m 36 24 q 10 -10 20 0 t 16 0"/>'
        '<path d="M0 24 C 0 0 36 0 36 24 S 72 48 72 24 L 0 0 10 10"/>'
        '<polygon points="0,0 36,0 36,24"/><line x1="0" y1="0" x2="72" y2="48"/></svg>'
    )
    box, wave, curve, triangle, line = loads(text, frames=17).tracks
    assert [len(t.points) for t in (box, wave, curve, triangle, line)] == [6, 3, 5, 4, 2]
    assert box.points[-1].x == box.points[0].x and triangle.points[-1].x == triangle.points[0].x
    assert wave.points[1].leave == pytest.approx((16 / 3 / 72 * 1.25, 20 / 3 / 48), abs=0.02)
    mirrored = curve.points[1]
    assert mirrored.arrive == (0.0, -0.5) and mirrored.leave == (0.0, 0.5)
    assert (line.points[1].x, line.points[1].y) == (1, 1)


SCENE = {
    "splines": [
        {
            "points": [{"x": 0, "y": 0}, {"x": 500, "y": 281}],
            "startFrame": 4,
            "totalFrames": 20,
            "hideOnComplete": False,
        }
    ],
    "staticShapes": [{"pos": {"x": 100, "y": 281}}],
    "originalImageDimensions": {"width": 1000, "height": 562},
}


def test_scenes_of_spline_path_control() -> None:
    document = loads(json.dumps(SCENE))
    first, anchor = document.tracks
    assert (document.frames, first.start, first.end, first.after) == (81, 4, 23, "wait")
    assert (anchor.points[0].x, anchor.points[0].y) == (0.1, 0.5)
    assert sample(document).points[0, 30].tolist() == [360, 240]
    assert loads(b"PNG and so on SPLINEDATA::" + json.dumps(SCENE).encode()) == document
