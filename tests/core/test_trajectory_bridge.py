"""What other models are handed: tracks that wait, points spread over a thing, coordinates."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tora2.trajectory import Tracks, parse, sample
from tora2.trajectory.bridge import (
    box_region,
    coordinates,
    first_seen,
    held,
    mask_region,
    resampled,
    spread,
)


def made(*tracks: dict[str, Any], frames: int = 17) -> Tracks:
    rows = [{"id": f"t{i}", "curve": "linear", **track} for i, track in enumerate(tracks)]
    return sample(
        parse(
            {
                "version": 1,
                "width": 200,
                "height": 100,
                "frames": frames,
                "entities": [{"id": "cat"}, {"id": "dog"}],
                "tracks": rows,
            }
        )
    )


def line(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in points]


def test_a_late_track_waits_where_it_is_first_seen() -> None:
    tracks = made(
        {"points": line((0.5, 0.5), (0.9, 0.5)), "start": 8},
        {"points": line((-0.5, 0.5), (0.5, 0.5))},
        {"points": line((0.1, 0.1), (0.2, 0.1)), "end": 4},
        {"points": line((-0.5, 0.5))},
    )
    assert first_seen(tracks) == [8, 8, 0, None]
    got = held(tracks)
    assert torch.equal(got.points[0], tracks.points[0]) and got.visible[0].all()
    assert torch.equal(got.points[1, :8], tracks.points[1, 8:9].expand(8, 2))
    assert torch.equal(got.points[1, 8:], tracks.points[1, 8:])
    assert got.visible[2].tolist() == [True] * 5 + [False] * 12  # what ends is not prolonged
    assert torch.equal(got.points[2:], tracks.points[2:])
    assert torch.equal(tracks.visible[0], made({"points": line((0, 0)), "start": 8}).visible[0])


def test_the_right_and_lower_edge_are_off_the_frame() -> None:
    edge = made({"points": line((1.0, 0.5))}, {"points": line((0.0, 0.0))})
    assert first_seen(edge) == [None, 0]


def test_resampling_keeps_the_ends_and_the_pace() -> None:
    tracks = made({"points": line((0.0, 0.5), (0.8, 0.5))})
    got = resampled(tracks, 121)
    assert got.frames == 121 and got.points.shape == (1, 121, 2)
    assert torch.allclose(got.points[0, :, 0], torch.linspace(0, 160, 121), atol=1e-3)
    assert torch.equal(resampled(tracks, 1).points, tracks.points[:, :1])
    still = made({"points": line((0.5, 0.5))}, frames=1)
    assert torch.equal(resampled(still, 3).points, still.points.expand(1, 3, 2))
    with pytest.raises(ValueError, match="samples is 0"):
        resampled(tracks, 0)


def test_coordinates_are_lists_of_points() -> None:
    tracks = made({"points": line((0.1, 0.5), (0.2, 0.5))})
    assert len(json.loads(coordinates(tracks))[0]) == 17
    rows = json.loads(coordinates(tracks, 121))
    assert len(rows) == 1 and len(rows[0]) == 121 and set(rows[0][0]) == {"x", "y"}
    assert rows[0][0] == {"x": 20.0, "y": 50.0} and rows[0][-1] == {"x": 40.0, "y": 50.0}


def test_points_are_spread_over_a_mask_and_move_along() -> None:
    tracks = made(
        {"points": line((0.25, 0.5), (0.75, 0.5)), "entity": "cat"},
        {"points": line((0.8, 0.2))},
    )
    mask = torch.zeros(50, 100)
    mask[10:40, 10:40] = 1  # on the canvas from 20 to 80 both ways
    got = spread(tracks, 5, 4.0, {0: mask_region(mask, (100, 200))})
    assert got.points.shape == (2 + 4 + 4, 17, 2)
    assert torch.equal(got.points[:2], tracks.points) and got.entity.tolist()[2:6] == [0] * 4
    cat, free = got.points[2:6], got.points[6:]
    assert (cat[:, 0] > 24).all() and (cat[:, 0] < 76).all()  # inside, and not on the edge
    apart = torch.cdist(got.points[[0, 2, 3, 4, 5], 0], got.points[[0, 2, 3, 4, 5], 0])
    assert apart[~torch.eye(5, dtype=torch.bool)].min() > 15
    moved = cat - cat[:, :1]
    assert torch.allclose(moved, (tracks.points[0] - tracks.points[0, :1]).expand(4, -1, -1))
    assert ((free[:, 0] - tracks.points[1, 0]).norm(dim=-1) <= 4).all()


def test_points_draw_apart_with_the_size() -> None:
    tracks = made({"points": line((0.5, 0.5)), "entity": "cat"})
    got = spread(replace(tracks, scale=torch.linspace(0.5, 1, 17)[None]), 3, 10.0)
    offsets = got.points[1:] - got.points[:1]
    assert torch.allclose(offsets[:, -1], 2 * offsets[:, 0], atol=1e-4)


def test_spreading_leaves_alone_what_has_enough_or_is_never_seen() -> None:
    two = made(*({"points": line((x, 0.5)), "entity": "cat"} for x in (0.2, 0.4)))
    assert torch.equal(spread(two, 2, 5).points, two.points)
    never = made({"points": line((-1.0, 0.5))})
    assert torch.equal(spread(never, 8, 5).points, never.points)
    with pytest.raises(ValueError, match="entity 0 covers nothing"):
        spread(two, 4, 5, {0: box_region(500, 500, 10, 10)})


def test_a_box_is_covered_evenly() -> None:
    places = box_region(10, 20, 40, 20)
    assert places.min(0).tolist() == pytest.approx([10 + 40 / 96, 20 + 20 / 48])
    assert np.allclose(places.mean(0), [30, 30])
    assert mask_region(torch.zeros(4, 4), (8, 8)).shape == (0, 2)
    assert mask_region(torch.ones(1, 1), (8, 8)).tolist() == [[4.0, 4.0]]
