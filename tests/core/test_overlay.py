"""Overlays: ink where the paths are, untouched pixels everywhere else, legible on any ground."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tora2.overlay import Painter, contact_sheet, draw_tracks, track_colors
from tora2.trajectory import Tracks, parse

ROOT = Path(__file__).parents[2]
RED, BLUE = "#ff0000", (0.0, 0.0, 1.0)
MID = 0.5


def tracks(points: list[list[tuple[float, float]]], hidden: tuple[int, ...] = ()) -> Tracks:
    places = torch.tensor(points, dtype=torch.float32).reshape(len(points), -1, 2)
    visible = torch.ones(places.shape[:2], dtype=torch.bool)
    visible[:, list(hidden)] = False
    count, frames = visible.shape
    return Tracks(places, visible, torch.arange(count), 120, 60, frames)


def grey(frames: int = 3, height: int = 60, width: int = 120, level: float = MID) -> torch.Tensor:
    return torch.full((frames, height, width, 3), level)


def touched(frame: torch.Tensor, level: float = MID) -> torch.Tensor:
    """[H, W] bool."""
    return (frame - level).abs().amax(-1) > 1e-3


def no_tracks(frames: int) -> Tracks:
    empty = torch.zeros(0, frames, 2)
    return Tracks(empty, empty[..., 0].bool(), torch.zeros(0, dtype=torch.int64), 9, 9, frames)


RIGHTWARDS = tracks([[(20.0, 30.0), (60.0, 30.0), (100.0, 30.0)]])


def test_the_disk_moves_in_the_colour_of_the_track() -> None:
    drawn = draw_tracks(grey(), RIGHTWARDS, [RED], scale=8)
    assert drawn.shape == (3, 480, 960, 3)
    for time in range(3):
        above = drawn[time, 236, [160, 480, 800]]  # the line is thinner than the disk
        is_red = (above == torch.tensor([1.0, 0, 0])).all(-1)
        assert is_red.tolist() == [time == 0, time == 1, time == 2]


def test_the_centre_of_the_disk_is_the_point_itself() -> None:
    """x = 0 is the left edge, so the disk of a point in the middle is symmetric."""
    frame = draw_tracks(grey(1), tracks([[(60.0, 30.0)]]), [RED], scale=2)[0]
    mask = touched(frame)
    assert torch.equal(mask, mask.flip(0))
    assert torch.equal(mask, mask.flip(1))
    assert 0 < mask.sum() < 400


def test_ahead_is_paler_than_behind_and_the_rest_is_untouched() -> None:
    drawn = draw_tracks(grey(), RIGHTWARDS, [RED], scale=8)
    behind, ahead = drawn[1, 240, 320], drawn[1, 240, 640]
    assert behind.tolist() == [1, 0, 0]
    assert 0.1 < ahead[1] < 0.4 and ahead[0] > 0.6
    mask = touched(drawn[1])
    assert not mask[:220].any() and not mask[260:].any()
    assert not mask[:, :150].any() and not mask[:, 810:].any()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("color", ["#ffffff", "#000000", "#ffff00", "#3030a0"])
def test_a_path_stands_off_any_ground(level: float, color: str) -> None:
    drawn = draw_tracks(grey(level=level), RIGHTWARDS, [color], scale=8)
    across = drawn[2, 225:255, 320]
    assert (across - level).abs().amax() > 0.45


def test_hidden_frames_have_no_disk_and_no_line() -> None:
    hidden = tracks([[(20.0, 30.0), (60.0, 30.0), (100.0, 30.0)]], hidden=(2,))
    drawn = draw_tracks(grey(), hidden, [RED], scale=8)
    assert not touched(drawn[:, :, 500:]).any()
    assert touched(drawn[1, 232]).any() and not touched(drawn[2, 232]).any()
    assert drawn[2, 240, 320].tolist() == [1, 0, 0]  # the line that was travelled stays
    unseen = tracks([[(20.0, 30.0), (60.0, 30.0)]], hidden=(0, 1))
    torch.testing.assert_close(draw_tracks(grey(2), unseen, [RED]), grey(2))


def test_the_canvas_is_stretched_over_the_video() -> None:
    drawn = draw_tracks(grey(3, 240, 240), RIGHTWARDS, [RED])
    assert drawn[1, 120, 120].tolist() == [1, 0, 0]


def test_measured_paths_are_dashed_crosses_without_the_unseen() -> None:
    measured = torch.tensor([[[20.0, 45], [torch.nan, 45], [100, 45]]])
    plain = draw_tracks(grey(), RIGHTWARDS, [RED], scale=8)
    drawn = draw_tracks(grey(), RIGHTWARDS, [RED], measured=measured, scale=8)
    assert drawn[0, 360, 160].tolist() == [1, 1, 1]
    assert torch.equal(drawn[1], plain[1])  # a lone point behind the gap draws nothing
    assert drawn[2, 360, 800].tolist() == [1, 1, 1]
    assert torch.equal(drawn[2, :, :770], plain[2, :, :770])  # nor is the gap bridged

    measured[0, 1, 0] = 60
    drawn = draw_tracks(grey(), RIGHTWARDS, [RED], measured=measured, scale=8)
    white = (drawn[2, 360, 160:760] == 1).all(-1)
    assert 200 < white.sum() < 450
    assert (white[1:] & ~white[:-1]).sum() >= 10  # dashes


def test_labels_stay_inside_the_frame() -> None:
    sizes = []
    for place in ((50.0, 30.0), (0.0, 0.0), (120.0, 0.0), (119.0, 59.0), (0.0, 60.0)):
        one = tracks([[place]])
        plain = draw_tracks(grey(1), one, [RED], scale=8)
        drawn = draw_tracks(grey(1), one, [RED], scale=8, labels=["heart"])
        sizes.append(int((drawn != plain).any(-1).sum()))
    assert min(sizes) > 0.7 * sizes[0] > 300  # less only where it lies on the disk
    assert torch.equal(draw_tracks(grey(1), one, [RED], scale=8, labels=[""]), plain)


def test_points_far_off_the_frame_and_no_tracks() -> None:
    far = tracks([[(-2000.0, -1000.0), (60.0, 30.0), (2000.0, 1e5)]])
    assert draw_tracks(grey(), far, [RED])[1, 30, 60].tolist() == [1, 0, 0]
    none = Tracks(
        torch.zeros(0, 3, 2), torch.zeros(0, 3, dtype=torch.bool), torch.zeros(0), 9, 9, 3
    )
    source = torch.rand(3, 20, 30, 3)
    drawn = draw_tracks(source, none, [])
    assert torch.equal(drawn, source) and drawn is not source


def test_enlarging_keeps_the_picture_in_place() -> None:
    ramp = torch.linspace(0, 1, 30)[None, None, :, None].expand(1, 20, 30, 3)
    none = Tracks(
        torch.zeros(0, 1, 2), torch.zeros(0, 1, dtype=torch.bool), torch.zeros(0), 9, 9, 1
    )
    drawn = draw_tracks(ramp, none, [], scale=3)
    assert drawn.min() >= 0 and drawn.max() <= 1
    torch.testing.assert_close(drawn[:, 1::3, 1::3], ramp, atol=0.01, rtol=0)


def test_every_frame_is_announced_and_may_be_refused() -> None:
    told: list[int] = []
    draw_tracks(grey(), RIGHTWARDS, [RED], advance=lambda: told.append(1))
    assert len(told) == 3

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        draw_tracks(grey(), RIGHTWARDS, [RED], advance=stop)


def test_what_was_drawn_stays_as_the_path_goes_on() -> None:
    """Frames are drawn by what is new in them; a path that crosses another and itself shows it."""
    turn = torch.linspace(0, 6.28, 25)
    loop = torch.stack([60 + 30 * turn.cos(), 30 + 20 * (2 * turn).sin()], dim=-1)
    line = torch.stack([torch.linspace(10, 110, 25), torch.linspace(12, 48, 25)], dim=-1)
    both = tracks([loop.tolist(), line.tolist()])
    drawn = draw_tracks(grey(25, 120, 240), both, [RED, BLUE])
    was, now = touched(drawn[12]), touched(drawn[24])
    heads = torch.zeros_like(was)
    for x, y in (both.points[:, 12] * 2).round().int().tolist():
        heads[max(y - 8, 0) : y + 9, max(x - 8, 0) : x + 9] = True
    assert (now | ~was)[~heads].all()
    places = (both.points[0, 1:24] * 2).int()
    red = drawn[24, places[:, 1], places[:, 0], 0] > 0.95
    assert red.sum() > 18  # but where the other path lies on it


def test_the_given_frames_are_not_changed() -> None:
    source = grey()
    draw_tracks(source, RIGHTWARDS, [RED])
    assert torch.equal(source, grey())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": grey(4)}, "the tracks have 3 frames, expected 4"),
        ({"frames": grey()[..., 0]}, "frames are torch.float32 (3, 60, 120), expected floating"),
        ({"frames": grey().to(torch.uint8)}, "frames are torch.uint8"),
        ({"colors": []}, "colors has 0 items, expected 1"),
        ({"colors": ["#12"]}, "a colour is '#12', expected #rrggbb or RGB in [0, 1]"),
        ({"colors": [(1, 0)]}, "a colour is (1, 0), expected"),
        ({"colors": [(255, 0, 0)]}, "a colour is (255, 0, 0), expected"),
        ({"colors": [(float("nan"), 0, 0)]}, "a colour is (nan, 0, 0), expected"),
        ({"labels": ["a", "b"]}, "labels has 2 items, expected 1"),
        (
            {"measured": torch.zeros(1, 2, 2)},
            "measured has the shape (1, 2, 2), expected (1, 3, 2)",
        ),
        ({"scale": 0}, "scale is 0, expected at least 1"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    given = {"frames": grey(), "tracks": RIGHTWARDS, "colors": [BLUE]} | change
    with pytest.raises(ValueError, match=re.escape(message)):
        draw_tracks(**given)  # type: ignore[arg-type]


def test_colours_follow_entities_and_free_tracks_get_others() -> None:
    document = parse(
        {
            "version": 1,
            "width": 64,
            "height": 64,
            "frames": 5,
            "entities": [{"id": "a", "color": "#e4572e"}, {"id": "b", "color": "#123456"}],
            "tracks": [
                {"id": "t0", "points": [{"x": 0, "y": 0}]},
                {"id": "t1", "entity": "b", "points": [{"x": 0, "y": 0}]},
                {"id": "t2", "entity": "a", "points": [{"x": 0, "y": 0}]},
                {"id": "t3", "points": [{"x": 0, "y": 0}]},
            ],
        }
    )
    colors = track_colors(document)
    assert colors[1:3] == ["#123456", "#e4572e"]
    assert len(set(colors)) == 4


def test_contact_sheet_shows_the_first_and_the_last_frame() -> None:
    frames = torch.linspace(0, 0.8, 9)[:, None, None, None].expand(9, 10, 20, 3)
    sheet = contact_sheet(frames, 3, 1, gap=2)
    assert sheet.shape == (10, 64, 3)
    torch.testing.assert_close(sheet[0, [0, 22, 44], 0], torch.tensor([0, 0.4, 0.8]))
    assert sheet[0, [20, 21, 42, 43]].unique().tolist() == [1]
    sheet = contact_sheet(frames, 3, 3, gap=0)
    torch.testing.assert_close(sheet[::10, ::20, 0].flatten(), frames[:, 0, 0, 0])
    with pytest.raises(ValueError, match="columns, rows, gap are 0, 1, 4"):
        contact_sheet(frames, 0)


PEAK = """
import resource, sys, torch
from tora2.overlay import draw_tracks, memory
from tora2.trajectory import Tracks

frames, side = 65, 512
points = torch.linspace(0, side, frames)[None, :, None].expand(1, frames, 2)
tracks = Tracks(points, torch.ones(1, frames) > 0, torch.zeros(1).long(), side, side, frames)
video = torch.full((1, 1, 1, 3), 0.5).expand(frames, side, side, 3)
once = Tracks(points[:, :1], tracks.visible[:, :1], tracks.entity, side, side, 1)
draw_tracks(video[:1], once, ["red"])
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
draw_tracks(video, tracks, ["red"])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before) / memory(65, side, side))
"""


def test_drawing_takes_the_memory_that_is_announced() -> None:
    pytest.importorskip("resource", reason="needs a Unix")
    made = subprocess.run([sys.executable, "-c", PEAK], cwd=ROOT, capture_output=True, text=True)
    assert float(made.stdout) < 1.05, made.stderr


def test_a_single_frame_of_a_video_is_drawn_alone() -> None:
    whole = draw_tracks(grey(), RIGHTWARDS, [RED])
    painter, frame = Painter((60, 120), RIGHTWARDS, [RED]), grey(1)[0]
    painter.draw(0)
    painter.draw(1, frame)
    assert torch.equal(frame, whole[1])
