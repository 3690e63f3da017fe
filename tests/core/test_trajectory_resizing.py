import json
from pathlib import Path

import pytest

from tora2.trajectory import parse, sample
from tora2.trajectory.document import to_dict
from tora2.trajectory.resizing import resized

CASES = json.loads((Path(__file__).parents[1] / "fixtures" / "resizing_cases.json").read_text())


def document(*points: dict[str, float], start: int = 8, end: int = 40) -> dict[str, object]:
    track = {"id": "t1", "points": list(points), "start": start, "end": end}
    return {"version": 1, "width": 720, "height": 480, "frames": 49, "tracks": [track]}


LINE = ({"x": 0.0, "y": 0.0}, {"x": 0.5, "y": 0.0, "frame": 12}, {"x": 1.0, "y": 0.0})


def test_points_keep_their_fraction_of_the_frame_and_times_of_the_clip() -> None:
    half = resized(parse(document(*LINE)), width=360, height=240, frames=25)
    track = half.tracks[0]
    assert (half.width, half.height, half.frames) == (360, 240, 25)
    assert (track.start, track.points[1].frame, track.end) == (4, 6, 20)
    points = sample(half).points[0]
    assert points[6].tolist() == [180.0, 0.0]
    assert points[20].tolist() == [360.0, 0.0]


def test_a_key_without_room_is_let_go() -> None:
    small = resized(parse(document(*LINE)), frames=5)
    assert [point.frame for point in small.tracks[0].points] == [None, None, None]


def test_nothing_asked_is_nothing_changed() -> None:
    before = parse(document(*LINE))
    assert resized(before) == before


@pytest.mark.parametrize(
    ("size", "complaint"),
    [({"frames": 48}, "frames is 48"), ({"width": 8}, "width is 8"), ({"height": 9000}, "height")],
)
def test_sizes_out_of_bounds_are_refused(size: dict[str, int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        resized(parse(document(*LINE)), **size)


def test_the_cases_the_editor_is_held_to() -> None:
    assert len(CASES["cases"]) >= 50
    for case in CASES["cases"]:
        assert to_dict(resized(parse(case["document"]), **case["size"])) == case["resized"]
