"""Sampling: the shared cases, a scalar reference of the spline, analytic paths, properties."""

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tora2.trajectory import Tracks, parse, sample
from tora2.trajectory.curves import STEPS, polyline
from tora2.trajectory.timing import ease

FIXTURES = Path(__file__).parents[1] / "fixtures"
CASES = json.loads((FIXTURES / "trajectory_cases.json").read_text())["cases"]


def make_cases() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cases", FIXTURES / "make_trajectory_cases.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def document(*points: tuple[float, ...], frames: int = 17, **fields: Any) -> dict[str, Any]:
    rows = [dict(zip(("x", "y", "frame"), point, strict=False)) for point in points]
    track = {"id": "t", "points": rows, **fields}
    return {"version": 1, "width": 200, "height": 100, "frames": frames, "tracks": [track]}


def path(*points: tuple[float, ...], **fields: Any) -> np.ndarray:
    return sample(parse(document(*points, **fields))).points[0].double().numpy()


def reference_spline(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Barry and Goldman's pyramid, one vertex at a time, for points that are all apart."""
    (ax, ay), (bx, by) = points[:2]
    (cx, cy), (dx, dy) = points[-2:]
    chain = [(2 * ax - bx, 2 * ay - by), *points, (2 * dx - cx, 2 * dy - cy)]
    vertices = [points[0]]
    for i in range(len(points) - 1):
        four = chain[i : i + 4]
        t = [0.0]
        for start, end in zip(four, four[1:], strict=False):
            t.append(t[-1] + math.dist(start, end) ** 0.5)
        for step in range(1, STEPS + 1):
            now = t[1] + (t[2] - t[1]) * step / STEPS
            level = four
            for width in (1, 2, 3):
                spans = [(k, k + width) for k in range(4 - width)]
                if width == 3:  # the last pair is blended over the segment itself
                    spans = [(1, 2)]
                level = [
                    tuple(
                        ((t[b] - now) * p + (now - t[a]) * q) / (t[b] - t[a])
                        for p, q in zip(level[k], level[k + 1], strict=True)
                    )
                    for k, (a, b) in enumerate(spans)
                ]
            vertices.append(level[0])
    return vertices


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_shared_cases(case: dict[str, Any]) -> None:
    tracks = sample(parse(case["document"]))
    expected = torch.tensor(case["points"]).reshape(tracks.points.shape)
    assert (tracks.points - expected).abs().amax() < 0.01 if expected.numel() else True
    assert tracks.visible.tolist() == case["visible"]
    torch.testing.assert_close(
        tracks.scale,
        torch.tensor(case["scale"]) if "scale" in case else torch.ones_like(tracks.scale),
        atol=1e-5,
        rtol=1e-5,
    )


def test_the_cases_are_the_ones_their_script_makes() -> None:
    script = make_cases()
    written = {case["name"]: case["document"] for case in CASES}
    assert written == dict(script.cases())
    assert len(written) >= 300


coordinates = st.floats(-300, 300, allow_nan=False).map(lambda value: round(value, 2))
apart = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=7).filter(
    lambda points: all(math.dist(a, b) > 0.5 for a, b in zip(points, points[1:], strict=False))
)


@settings(max_examples=60, deadline=None)
@given(apart)
def test_spline_equals_the_scalar_reference(points: list[tuple[float, float]]) -> None:
    line = polyline(np.array(points), "spline")
    np.testing.assert_allclose(line.vertices, reference_spline(points), atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(apart, st.floats(0.3, 3), st.floats(-math.pi, math.pi))
def test_spline_commutes_with_similarities(
    points: list[tuple[float, float]], scale: float, angle: float
) -> None:
    turn = scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    straight = polyline(np.array(points), "spline")
    turned = polyline(np.array(points) @ turn.T + 7, "spline")
    np.testing.assert_allclose(turned.vertices, straight.vertices @ turn.T + 7, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(apart)
def test_spline_reversed_is_the_same_curve(points: list[tuple[float, float]]) -> None:
    forward = polyline(np.array(points), "spline")
    backward = polyline(np.array(points[::-1]), "spline")
    np.testing.assert_allclose(backward.vertices[::-1], forward.vertices, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(apart, st.sampled_from(["spline", "linear"]))
def test_curve_passes_through_its_points(points: list[tuple[float, float]], curve: str) -> None:
    line = polyline(np.array(points), curve)
    np.testing.assert_allclose(line.at(line.control_lengths), points, atol=1e-7)
    chords = sum(math.dist(a, b) for a, b in zip(points, points[1:], strict=False))
    assert line.lengths[-1] >= chords - 1e-7


def test_straight_line_at_constant_speed() -> None:
    expected = np.stack([np.linspace(20, 180, 17), np.linspace(10, 90, 17)], axis=-1)
    np.testing.assert_allclose(path((0.1, 0.1), (0.9, 0.9)), expected, atol=1e-4)
    uneven = path((0.1, 0.1), (0.2, 0.2), (0.25, 0.25), (0.9, 0.9))
    np.testing.assert_allclose(uneven, expected, atol=1e-4)


def test_polyline_follows_arc_length() -> None:
    points = path((0, 0), (0.5, 0), (0.5, 1), curve="linear", frames=5)  # 100 px right, 100 px down
    np.testing.assert_allclose(
        points, [[0, 0], [50, 0], [100, 0], [100, 50], [100, 100]], atol=1e-4
    )


def test_spline_moves_evenly_along_its_arc() -> None:
    steps = np.linalg.norm(
        np.diff(path((0.1, 0.9), (0.3, 0.1), (0.5, 0.9), (0.9, 0.5)), axis=0), axis=1
    )
    assert steps.max() / np.median(steps) < 1.02  # a chord across a bend is a little shorter


@pytest.mark.parametrize(
    ("easing", "quarters"),
    [
        ("linear", [0, 0.25, 0.5, 0.75, 1]),
        ("in", [0, 1 / 16, 1 / 4, 9 / 16, 1]),
        ("out", [0, 7 / 16, 3 / 4, 15 / 16, 1]),
        ("in-out", [0, 1 / 8, 1 / 2, 7 / 8, 1]),
    ],
)
def test_easing(easing: str, quarters: list[float]) -> None:
    points = path((0, 0), (1, 0), easing=easing, frames=5)
    np.testing.assert_allclose(points[:, 0], np.array(quarters) * 200, atol=1e-4)
    progress = ease(np.linspace(0, 1, 101), easing)
    assert (np.diff(progress) >= 0).all()


def test_keys_are_passed_exactly_and_each_span_is_eased() -> None:
    points = path((0, 0), (0.2, 0, 8), (1, 0), curve="linear", easing="in", frames=17)
    np.testing.assert_allclose(points[8], [40, 0], atol=1e-4)
    np.testing.assert_allclose(points[4], [10, 0], atol=1e-4)
    np.testing.assert_allclose(points[12], [80, 0], atol=1e-4)


def test_window_rests_at_the_ends_and_hides() -> None:
    tracks = sample(parse(document((0, 0), (1, 1), start=4, end=12)))
    assert tracks.visible[0].tolist() == [4 <= frame <= 12 for frame in range(17)]
    assert tracks.points[0, :4].eq(tracks.points[0, 4]).all()
    assert tracks.points[0, 13:].eq(tracks.points[0, 12]).all()
    assert tracks.points[0, 12].tolist() == [200, 100]


def test_anchor_and_a_window_of_one_frame_are_static() -> None:
    assert (path((0.3, 0.4)) == np.float32([60, 40])).all()
    assert (path((0.1, 0.2), (0.9, 0.9), start=5, end=5) == np.float32([20, 20])).all()


def test_entities_are_indices() -> None:
    value = document((0, 0), frames=5)
    value["entities"] = [{"id": "a"}, {"id": "b"}]
    value["tracks"] = [
        {"id": str(index), "points": [{"x": 0, "y": 0}], "entity": entity}
        for index, entity in enumerate(["b", None, "a"])
    ]
    tracks = sample(parse(value))
    assert tracks.entity.tolist() == [1, -1, 0]
    assert (tracks.width, tracks.height, tracks.frames) == (200, 100, 5)
    assert (tracks.points.dtype, tracks.visible.dtype) == (torch.float32, torch.bool)


def test_no_tracks() -> None:
    tracks = sample(parse(document((0, 0)) | {"tracks": []}))
    assert tracks.points.shape == (0, 17, 2)


def test_tracks_refuse_shapes_that_do_not_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 5, 2\).*expected \[N, 9, 2\]"):
        Tracks(torch.zeros(2, 5, 2), torch.ones(2, 5).bool(), torch.zeros(2).long(), 64, 64, 9)


def test_moving_one_point_moves_only_near_segments() -> None:
    points = np.array([(0, 0), (10, 5), (20, 0), (30, 5), (40, 0), (50, 5), (60, 0)], dtype=float)
    moved = points.copy()
    moved[6] += 9
    before, after = polyline(points, "spline").vertices, polyline(moved, "spline").vertices
    np.testing.assert_array_equal(before[: 4 * STEPS + 1], after[: 4 * STEPS + 1])
    assert np.abs(before - after)[4 * STEPS + 1 :].max() > 1
