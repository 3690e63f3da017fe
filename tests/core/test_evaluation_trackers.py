"""Trackers: drawn discs on known paths, and what is said where one cannot be used."""

import sys
from collections.abc import Sequence
from pathlib import Path as File
from types import ModuleType

import discs
import numpy as np
import pytest
import torch
from torch import Tensor

from tora2.evaluation.trackers import Followed, Query, load, trackers

SIZE = (144, 192)
FRAMES = 21
APART = [discs.arc((70, 72), 36, FRAMES), discs.straight((160, 20), (130, 125), FRAMES)]
CROSSING = [
    discs.straight((30, 72), (160, 72), FRAMES),
    discs.straight((96, 20), (96, 125), FRAMES),
]


def off(followed: Followed, row: int, path: discs.Path) -> np.ndarray:
    """|dx| + |dy| of one query at every frame."""
    return np.abs(followed.points[row].numpy() - path).sum(-1)


@pytest.fixture(scope="module")
def apart() -> Tensor:
    return discs.video(APART, SIZE)


def test_every_tracker_has_a_file() -> None:
    assert trackers() == ("colour", "cotracker3", "lucas_kanade", "raft")
    with pytest.raises(ValueError, match="'tapir', expected one of colour, cotracker3"):
        load("tapir")


@pytest.mark.parametrize("plain", [False, True])
def test_lucas_kanade_follows_textured_discs(plain: bool) -> None:
    video = discs.video(APART, SIZE, plain=plain)
    followed = load("lucas_kanade").follow(video, [Query(0, *path[0]) for path in APART])
    assert followed.resolution == SIZE
    for row, path in enumerate(APART):
        assert off(followed, row, path).max() < 0.5


def test_lucas_kanade_follows_both_ways(apart: Tensor) -> None:
    queries = [Query(9, *APART[0][9]), Query(FRAMES - 1, *APART[1][-1])]
    followed = load("lucas_kanade").follow(apart, queries)
    assert off(followed, 0, APART[0]).max() < 0.5
    assert off(followed, 1, APART[1]).max() < 0.5


def test_lucas_kanade_does_not_follow_what_comes_before_the_thing() -> None:
    video = discs.video(CROSSING, SIZE)
    followed = load("lucas_kanade").follow(video, [Query(0, *path[0]) for path in CROSSING])
    hidden = off(followed, 0, CROSSING[0])
    assert np.isfinite(hidden).mean() > 0.75 and np.isfinite(hidden[-1])
    assert np.nanmedian(hidden) < 0.5 and np.nanmax(hidden) < 12
    assert off(followed, 1, CROSSING[1]).max() < 0.5


def test_lucas_kanade_ends_at_the_edge_of_the_frame() -> None:
    path = discs.straight((96, 72), (250, 72), FRAMES)
    followed = load("lucas_kanade").follow(discs.video([path], SIZE), [Query(0, *path[0])])
    error = off(followed, 0, path)
    inside = path[:, 0] < SIZE[1] - 16
    assert error[inside].max() < 0.5
    assert np.isnan(error[path[:, 0] > SIZE[1] + 1]).all()


def test_lucas_kanade_finds_nothing_where_there_is_no_texture() -> None:
    video = torch.full((5, *SIZE, 3), 90, dtype=torch.uint8)
    assert load("lucas_kanade").follow(video, [Query(2, 50, 50)]).points.isnan().all()


def test_colour_tells_things_apart_by_picture_or_by_the_query() -> None:
    video = torch.full((3, 64, 64, 3), 128, dtype=torch.uint8)
    red, blue = torch.tensor([220, 20, 30]), torch.tensor([30, 40, 220])
    for time in range(3):
        video[time, 10:20, 10 + 4 * time : 20 + 4 * time] = red.to(torch.uint8)
        video[time, 40:50, 30:40] = blue.to(torch.uint8)
    picture = blue.to(torch.uint8)[:, None, None].expand(3, 8, 8)
    # The picture counts, not what is at the query; two queries of one thing are no rivals.
    queries = [Query(0, 15, 15), Query(0, 60, 60, picture), Query(0, 15, 15, picture)]
    points = load("colour").follow(video, queries).points
    assert points[0].tolist() == [[15, 15], [19, 15], [23, 15]]
    assert points[1].tolist() == points[2].tolist() == [[35, 45]] * 3
    assert load("colour").follow(video, [Query(0, 60, 8)]).points.isnan().all()
    both = load("colour").follow(video, [Query(0, 15, 15), Query(1, 19, 15)])
    assert both.points.isnan().all(), "two things of one colour cannot be told apart"
    video[0, 44:50, 30:40, [0, 1, 2]] = torch.tensor([220, 200, 20]).to(torch.uint8)
    assert load("colour").follow(video, [Query(0, 35, 44)]).points.isnan().all(), "many colours"


class Predictor(torch.nn.Module):
    """As CoTracker3's: every point moves 2 pixels to the right a frame."""

    interp_shape = (384, 512)

    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[Tensor] = []

    def forward(
        self, video: Tensor, queries: Tensor, backward_tracking: bool
    ) -> tuple[Tensor, Tensor]:
        assert backward_tracking and video.dtype == torch.float32 and video.max() > 1
        self.seen += [video, queries]
        times = torch.arange(video.shape[1])[None, :, None]
        steps = times - queries[:, None, :, 0]
        tracks = queries[:, None, :, 1:] + torch.stack([2 * steps, 0 * steps], -1)
        return tracks, torch.ones(tracks.shape[:-1], dtype=torch.bool)


@pytest.fixture
def cotracker(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("cotracker.predictor")
    module.CoTrackerPredictor = Predictor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cotracker", ModuleType("cotracker"))
    monkeypatch.setitem(sys.modules, "cotracker.predictor", module)


@pytest.mark.usefixtures("cotracker")
def test_cotracker3_is_asked_in_its_own_coordinates(apart: Tensor, tmp_path: File) -> None:
    weights = tmp_path / "scaled_offline.pth"
    weights.write_bytes(b"")
    tracker = load("cotracker3", weights)
    assert "NC" in tracker.licence
    followed = tracker.follow(apart, [Query(3, 20.5, 30.5), Query(0, 5.0, 6.0)])
    video, queries = tracker.predictor.seen  # type: ignore[attr-defined]
    assert video.shape == (1, FRAMES, 3, *SIZE)
    assert queries.tolist() == [[[3, 20, 30], [0, 4.5, 5.5]]]
    assert followed.points[0, 0].tolist() == [14.5, 30.5]
    assert followed.points[1, 4].tolist() == [13, 6]
    assert followed.resolution == (384, 512)
    assert tracker.follow(apart, []).points.shape == (0, FRAMES, 2)


class Shift(torch.nn.Module):
    """As RAFT: the flow between two pictures is known."""

    def forward(self, one: Tensor, two: Tensor) -> Sequence[Tensor]:
        assert one.shape == two.shape and not any(side % 8 for side in one.shape[-2:])
        step = two.mean() - one.mean()  # frames become lighter: forth is positive
        flow = torch.zeros(1, 2, *one.shape[-2:])
        flow[:, 0] = 4.0 * step.sign()
        return [flow * 0, flow]


def test_raft_chains_flow_both_ways_until_the_edge() -> None:
    from tora2.evaluation.trackers.raft import Raft

    video = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 128, 256, 3) * 20
    queries = [Query(2, 100.0, 50.0), Query(0, 250.0, 10.0)]
    followed = Raft(Shift()).follow(video, queries)
    assert followed.points[0, :, 0].tolist() == [92, 96, 100, 104, 108, 112]
    assert followed.points[0, :, 1].tolist() == [50] * 6
    assert followed.points[1, 1].tolist() == [254, 10]
    assert followed.points[1, 2:].isnan().all()


@pytest.mark.parametrize("size", [(100, 90), (1080, 1920)])
def test_raft_with_random_weights_keeps_shapes(size: tuple[int, int], tmp_path: File) -> None:
    optical_flow = pytest.importorskip("torchvision.models.optical_flow")
    torch.manual_seed(0)
    weights = tmp_path / "raft_small.pth"
    torch.save(optical_flow.raft_small().state_dict(), weights)
    tracker = load("raft", weights)
    tracker.model = Shift()  # type: ignore[attr-defined]
    followed = tracker.follow(torch.zeros(2, *size, 3, dtype=torch.uint8), [Query(1, 9, 8)])
    assert followed.points.shape == (1, 2, 2)
    assert (followed.points[0, 1] - torch.tensor([9.0, 8.0])).abs().max() < 1e-4
    assert all(side % 8 == 0 and side >= 128 for side in followed.resolution)


@pytest.mark.parametrize(
    ("name", "module", "words"),
    [
        ("lucas_kanade", "cv2", r"needs OpenCV.*comfyui-tora2\[measure\]"),
        ("cotracker3", "cotracker.predictor", "package cotracker.*CC-BY-NC-4.0"),
        ("raft", "torchvision.models.optical_flow", "package torchvision"),
    ],
)
def test_what_a_tracker_lacks_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, module: str, words: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=words):
        load(name)


@pytest.mark.usefixtures("cotracker")
@pytest.mark.parametrize("name", ["cotracker3", "raft"])
def test_weights_are_asked_for(name: str, tmp_path: File) -> None:
    with pytest.raises(ValueError, match=f"{name} needs a weights file"):
        load(name)
    with pytest.raises(FileNotFoundError):
        load(name, tmp_path / "absent.pth")


@pytest.mark.parametrize("content", [b"", b"not torch's", b"PK\x03\x04"])
def test_raft_refuses_other_files(content: bytes, tmp_path: File) -> None:
    file = tmp_path / "raft.pth"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"raft\.pth cannot be loaded, expected RAFT"):
        load("raft", file)


@pytest.mark.parametrize("value", [[1, 2], {"a": torch.zeros(1)}, None])
def test_raft_refuses_other_weights(value: object, tmp_path: File) -> None:
    file = tmp_path / "raft.pth"
    torch.save(value, file)
    with pytest.raises(ValueError, match="expected RAFT"):
        load("raft", file)


@pytest.mark.parametrize("name", ["lucas_kanade", "colour"])
def test_trackers_without_weights_refuse_some(name: str) -> None:
    with pytest.raises(ValueError, match="takes no weights.*w.pth"):
        load(name, "w.pth")


@pytest.mark.parametrize(
    ("frames", "query", "words"),
    [
        (torch.zeros(2, 8, 8, 3), Query(0, 1, 1), "float32"),
        (torch.zeros(0, 8, 8, 3, dtype=torch.uint8), Query(0, 1, 1), "at least one frame"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), Query(2, 1, 1), "2, expected a frame from 0"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), Query(0, 9, 1), "within 8x8"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), Query(0, float("nan"), 1), "nan"),
    ],
)
@pytest.mark.parametrize("name", ["lucas_kanade", "colour"])
def test_no_frames_and_no_places_are_refused(
    name: str, frames: Tensor, query: Query, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        load(name).follow(frames, [query])
