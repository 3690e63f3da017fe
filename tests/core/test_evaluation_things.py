"""A thing beside its path is measured as far as it is from it, or it is said what was followed."""

from typing import Any

import discs
import numpy as np
import pytest
import torch
from test_evaluation_measuring import FRAMES, HEIGHT, PATHS, WIDTH, document, keyed

from tora2.evaluation.anchoring import Things
from tora2.evaluation.matching import Thing, matched, moving_things
from tora2.evaluation.measuring import TrajectoryReport, measure_trajectories, stretched
from tora2.evaluation.summary import figures, sentences
from tora2.evaluation.trackers import load
from tora2.trajectory import parse, sample

SIZE = HEIGHT, WIDTH


def measured(video: torch.Tensor, *paths: discs.Path) -> TrajectoryReport:
    tracks = [keyed(path, f"t{i}", "ab"[i]) for i, path in enumerate(paths)]
    asked = parse(document(*tracks))
    return measure_trajectories(video, asked, load("lucas_kanade"), anchor="thing")


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("shift", [(5, 0), (-6, 8), (16, 12), (30, 24)])
def test_a_shifted_path_measures_its_shift(plain: bool, shift: tuple[int, int]) -> None:
    """Also where it begins on the ground, and where it begins on the other disc's way."""
    report = measured(discs.video(PATHS, SIZE, plain=plain), PATHS[0] + shift, PATHS[1])
    expected = abs(shift[0]) + abs(shift[1])
    assert report.entities["a"].trajectory_error == pytest.approx(expected, abs=1.2)
    assert report.entities["b"].trajectory_error < 0.7
    assert report.anchors == {"t0": "thing", "t1": "path"}
    assert report.at_path.entities["b"] == report.entities["b"]


@pytest.mark.parametrize("ends", [((-24, 64), (110, 64)), ((60, 64), (184, 60))])
def test_a_thing_that_enters_or_leaves_is_measured_while_it_is_there(ends: Any) -> None:
    path = discs.straight(*ends, FRAMES)
    video = discs.video([path], SIZE)
    for shift in ((0, 0), (9, 12)):
        found = measured(video, path + shift).entities["a"]
        assert found.trajectory_error == pytest.approx(sum(shift), abs=1.5), shift
        assert found.seen > 0.7


def test_what_neither_begins_on_a_thing_nor_moves_as_one_is_the_ground_and_said() -> None:
    """A path that its thing did not follow is not given another one's number."""
    still = np.full((FRAMES, 2), (40.0, 30.0))
    asked = discs.straight((40, 30), (100, 30), FRAMES)
    video = discs.video([still, discs.straight((120, 100), (60, 100), FRAMES)], SIZE)
    report = measured(video, asked)
    assert report.anchors == {"t0": "path"} and report.resting == ("t0",)
    assert report.entities["a"].trajectory_error == pytest.approx(30, abs=0.7)
    given = parse(document(keyed(asked, "t0", "a")))
    said = sentences(report, given, words_of(given))
    assert any("may be the ground: t0" in line for line in said)
    assert figures(report, given, words_of(given))["tracks"]["t0"]["rests"] is True


def test_a_thing_that_rests_is_found_by_its_picture() -> None:
    still = np.full((FRAMES, 2), (104.0, 70.0))
    video = discs.video([still], SIZE)
    picture = video[0, 54:86, 88:120].clone()
    ys, xs = np.mgrid[:32, :32] + 0.5
    picture[torch.from_numpy(np.hypot(xs - 16, ys - 16) > 15)] = 255
    asked = parse(document(keyed(still - (40, 12), "t0", "a")))
    tracker = load("lucas_kanade")
    report = measure_trajectories(
        video, asked, tracker, {"a": picture.movedim(-1, 0)}, anchor="thing"
    )
    assert report.anchors == {"t0": "looks"}
    assert report.entities["a"].trajectory_error == pytest.approx(52, abs=2)
    white = {"a": torch.full((3, 9, 9), 255, dtype=torch.uint8)}
    without = measure_trajectories(video, asked, tracker, white, anchor="thing")
    assert without.anchors == {"t0": "path"}, "then it is the paper's number"


def words_of(given: Any) -> dict[str, str]:
    return {entity.id: entity.name for entity in given.entities}


def test_a_thing_belongs_to_one_path() -> None:
    """The nearest to where a path begins; the other path keeps what is where it begins."""
    path = discs.straight((40, 30), (40, 95), FRAMES)
    thing = Thing(10.0, path.astype(np.float32))
    every = np.ones((2, FRAMES), bool)
    paths = np.stack([path + [20, 0], path + [6, 0]]).astype(np.float32)
    assert matched(paths, every, [thing], 200.0) == {1: thing}
    assert matched(paths[:1], every[:1], [thing], 200.0) == {0: thing}
    assert matched(paths[:1], every[:1], [thing], 40.0) == {}, "too far for so small a frame"
    back = paths[:1, ::-1].copy()
    assert matched(back, every[:1], [thing], 200.0) == {}, "moves otherwise"


def test_a_panned_ground_and_a_small_or_short_video() -> None:
    ground = (60 + 120 * discs.smooth(0, HEIGHT, WIDTH + 2 * FRAMES)).astype(np.uint8)
    pan = np.stack([ground[:, 2 * t : 2 * t + WIDTH] for t in range(FRAMES)])
    video = torch.from_numpy(pan)
    assert moving_things(video, load("lucas_kanade"), [0]) == []
    disc = discs.video(PATHS[:1], SIZE, plain=True)
    both = torch.where((disc.float() - 120).abs().amax(-1, keepdim=True) < 3, video, disc)
    on, beside = (measured(both, PATHS[0] + shift).entities["a"] for shift in ((0, 0), (40, 0)))
    assert on.trajectory_error is not None and on.trajectory_error < 0.5
    # Where the ground moves, what a path begins on is followed: the paper's number.
    assert beside.trajectory_error is not None and beside.trajectory_error > 20
    assert Things([np.zeros((20, 20, 3), np.uint8)]).seen(0) == []
    # In one frame nothing is followed: an error of 0 would say nothing of the video.
    assert measured(video[:1], PATHS[0]).entities["a"].trajectory_error is None


def test_paths_that_were_rounded_up_are_cut_and_not_stretched() -> None:
    """What `track` writes of a video fits that video, frame by frame."""
    tracks = sample(parse(document(keyed(PATHS[0], "t1", None))))
    short = stretched(tracks, 15, SIZE)
    assert torch.equal(short.points, tracks.points[:, :15])
    assert not torch.equal(stretched(tracks, 13, SIZE).points, tracks.points[:, :13])
    video = discs.video(PATHS[:1], SIZE)[:15]
    given = parse(document(keyed(PATHS[0], "t0", "a")))
    report = measure_trajectories(video, given, load("lucas_kanade"))
    assert report.entities["a"].trajectory_error < 0.7
    assert "the first 15 count" in " ".join(sentences(report, given, words_of(given)))
