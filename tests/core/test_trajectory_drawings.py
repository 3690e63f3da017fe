"""SVG in both directions, and Spline Path Control's scenes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tora2.trajectory import parse, sample
from tora2.trajectory.document import dumps
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


CURVES = json.loads((Path(__file__).parents[1] / "fixtures" / "foreign_curves.json").read_text())


@pytest.mark.parametrize("case", CURVES["cases"], ids=lambda case: case["name"])
def test_curves_that_stay_editable(case: dict[str, Any]) -> None:
    assert json.loads(dumps(loads(case["text"], **CURVES["canvas"]))) == case["document"]


def spline_path_control(spline: dict[str, Any], time: float) -> tuple[Any, float]:
    """Place and size by that program's rule: arc length by the easing's pieces, size by octaves."""
    points = np.array([[p["x"], p["y"]] for p in spline["points"]], dtype=float)
    lines = [points[:1]]
    for i in range(len(points) - 1):
        before, a, b = points[max(i - 1, 0)], points[i], points[i + 1]
        after = points[min(i + 2, len(points) - 1)]
        c = a + (b - before) * spline["tension"] / 6
        d = b - (after - a) * spline["tension"] / 6
        u = np.linspace(0, 1, 400)[:, None]
        bend = (1 - u) ** 3 * a + 3 * (1 - u) ** 2 * u * c + 3 * (1 - u) * u**2 * d + u**3 * b
        lines.append(bend[1:])
    line = np.concatenate(lines)
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])

    def drawn(name: str, otherwise: list[tuple[float, float]]) -> float:
        curve = sorted((p["x"], p["y"]) for p in spline.get(name, ())) or otherwise
        return float(np.interp(time, *zip(*curve, strict=True)))

    far = drawn("easingCurve", [(0, 0), (1, 1)]) * length[-1]
    place = [np.interp(far, length, line[:, axis]) for axis in (0, 1)]
    return np.array(place), 2 ** (drawn("scaleCurve", [(0, 0), (1, 0)]) / 2)


@pytest.mark.parametrize(
    "name", ["a scene that goes back, waits and goes on", "a scene that grows and shrinks"]
)
def test_scenes_move_as_their_program_moves_them(name: str) -> None:
    (text,) = [case["text"] for case in CURVES["cases"] if case["name"] == name]
    tracks = sample(loads(text, width=1000, height=562))
    (spline,) = json.loads(text)["splines"]
    keyed = {round(time * 48) for time in (0, 0.25, 0.4, 0.5, 0.75, 1)}
    for frame in range(49):
        place, size = spline_path_control(spline, frame / 48)
        # A key stands on a whole frame, so that the pace changes up to half a frame off.
        near = 0.05 if "goes back" in name else 12
        np.testing.assert_allclose(tracks.points[0, frame], place, atol=near)
        if frame in keyed:
            np.testing.assert_allclose(tracks.scale[0, frame], size, rtol=0.05)


def test_ltx_passes_its_points_at_even_times() -> None:
    (text,) = [case["text"] for case in CURVES["cases"] if case["name"] == "LTX's stored points"]
    document = loads(text, width=1000, height=562)
    points = sample(document).points
    assert document.frames == 121
    np.testing.assert_allclose(points[0, [0, 40, 80, 120]][1], [400, 80], atol=0.05)
    np.testing.assert_allclose(points[1, 60], [250, 240], atol=0.05)
    assert len(document.tracks[2].points) == 1
