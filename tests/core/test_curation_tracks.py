"""Tracks in two passes on drawn discs whose paths are known, and cut-outs of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as File

import discs
import numpy as np
import pytest
import torch
from drawn_clips import ByColour, drawn
from torch import Tensor

from tora2.curation import segmenters
from tora2.curation.candidate import Candidate, Entity, Noun
from tora2.curation.cutouts import cut_out, on_white
from tora2.curation.following import two_passes
from tora2.curation.moments import ENTITY, moments
from tora2.curation.stages import masks, references, tracks
from tora2.encoders.protocols import Face
from tora2.evaluation.trackers import Followed, Query, load

SIZE = (144, 192)
FRAMES = 25
RADIUS = 16.0
PATHS = [discs.arc((70, 72), 36, FRAMES), discs.straight((160, 24), (130, 120), FRAMES)]
PLACES = moments(FRAMES, ENTITY)


def disc(path: discs.Path, time: int, radius: float = RADIUS) -> np.ndarray:
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return np.asarray(np.hypot(xs - path[time, 0], ys - path[time, 1]) < radius)


def drawn_masks(path: discs.Path) -> dict[int, np.ndarray]:
    return {place: disc(path, place) for place in PLACES}


@pytest.fixture(scope="module")
def video() -> np.ndarray:
    return discs.video(PATHS, SIZE, RADIUS).numpy()


def error(points: np.ndarray, path: discs.Path) -> np.ndarray:
    """Distance in pixels of a track in fractions."""
    return np.asarray(np.hypot(*(points * (SIZE[1], SIZE[0]) - path).T))


def test_lucas_kanade_follows_mask_centres_both_ways_within_a_pixel(video: np.ndarray) -> None:
    found = two_passes(video, [drawn_masks(path) for path in PATHS], load("lucas_kanade"))
    for one, path in zip(found, PATHS, strict=True):
        assert one is not None and one.seen == 1 and one.track.visible.all()
        assert error(one.track.points, path).max() < 1
        assert one.apart < 0.005


def test_one_mask_is_enough_and_is_still_followed_back(video: np.ndarray) -> None:
    middle = PLACES[1]
    (found,) = two_passes(video, [{middle: disc(PATHS[0], middle)}], load("lucas_kanade"))
    assert found is not None and error(found.track.points, PATHS[0]).max() < 1
    assert 0 < found.apart < 0.01


class Scripted:
    """A tracker that goes where it is told: by the frame of the query, [T, 2] from its place."""

    name = licence = "none"

    def __init__(self, steps: Mapping[int, np.ndarray]) -> None:
        self.steps = steps
        self.asked: list[list[Query]] = []

    def follow(self, frames: Tensor, queries: Sequence[Query]) -> Followed:
        self.asked.append(list(queries))
        points = [self.steps[q.frame] - self.steps[q.frame][q.frame] + (q.x, q.y) for q in queries]
        return Followed(torch.from_numpy(np.stack(points)).float(), SIZE)


STILL = np.zeros((FRAMES, *SIZE, 3), np.uint8)


def test_a_first_pass_that_leaves_the_other_masks_falls_away() -> None:
    path = discs.straight((40, 72), (140, 72), FRAMES)
    wrong = discs.straight((40, 72), (140, 20), FRAMES)
    tracker = Scripted({PLACES[0]: wrong, PLACES[1]: path, PLACES[2]: path})
    (found,) = two_passes(STILL, [drawn_masks(path)], tracker, points=4)
    assert found is not None
    # The second pass asks again at every mask, on the path that the others agreed on.
    second = tracker.asked[1]
    assert len(second) == 15 and [query.frame for query in second[::5]] == list(PLACES)
    assert (second[0].x, second[0].y) == pytest.approx(path[PLACES[0]], abs=0.3)
    # Two of three mask frames are right, so the median is.
    assert error(found.track.points, path).max() < 0.5
    spread = np.hypot(*(wrong - wrong[PLACES[0]] - path + path[PLACES[0]]).T).mean()
    assert found.apart == pytest.approx(2 / 3 * spread / np.hypot(*SIZE), rel=0.01)


def test_a_centre_that_no_pass_brings_to_the_other_masks_is_no_track() -> None:
    path = discs.straight((40, 72), (140, 72), FRAMES)
    still = np.zeros((FRAMES, 2))
    tracker = Scripted(dict.fromkeys(PLACES, still))
    assert two_passes(STILL, [drawn_masks(path)], tracker) == [None]
    assert two_passes(STILL, [], tracker) == []


def test_what_is_lost_is_held_and_not_seen() -> None:
    path = discs.straight((40, 72), (140, 72), FRAMES)
    lost = path.copy()
    lost[5:8], lost[22:] = np.nan, np.nan
    tracker = Scripted({place: lost for place in PLACES[:2]})
    own = {place: disc(path, place) for place in PLACES[:2]}
    (found,) = two_passes(STILL, [own], tracker)
    assert found is not None
    expected = np.ones(FRAMES, bool)
    expected[5:8], expected[22:] = False, False
    assert found.track.visible.tolist() == expected.tolist()
    assert found.seen == pytest.approx(19 / 25)
    held = path.copy()
    held[22:] = held[21]
    assert error(found.track.points, held).max() < 0.5


def candidate(video: np.ndarray, scale: int = 1) -> Candidate:
    """The discs with their masks, `scale` times as large."""
    big = np.kron(video, np.ones((1, scale, scale, 1), np.uint8)) if scale > 1 else video
    entities = tuple(
        Entity(
            f"e{index}",
            "disc",
            masks={
                place: np.kron(mask, np.ones((scale, scale), bool))
                for place, mask in drawn_masks(path).items()
            },
        )
        for index, path in enumerate(PATHS)
    )
    return replace(drawn(big), entities=entities)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_stage_gives_fractions_whatever_the_size(video: np.ndarray, scale: int) -> None:
    stage = tracks.build(tracks.Config(tracker="lucas_kanade", short_side=144))
    assert stage.needs() == [] and stage.resources.gpus == 0
    stage.open()
    (kept,) = stage(candidate(video, scale))
    assert kept.kept and kept.scores["track_seen"] == 1 and kept.scores["track_error"] < 0.005
    for entity, path in zip(kept.entities, PATHS, strict=True):
        (track,) = entity.tracks
        assert track.points.shape == (FRAMES, 2) and track.points.dtype == np.float32
        assert error(track.points, path).max() < 1


def test_the_stage_says_why_an_entity_falls_away(video: np.ndarray) -> None:
    stage = tracks.build(tracks.Config(tracker="lucas_kanade", most_apart=0, short_side=144))
    stage.open()
    (dropped,) = stage(candidate(video))
    assert dropped.dropped_by == "tracks"
    assert "no entity can be followed (disc: forward and backward are" in str(dropped.reason)
    path = discs.straight((40, 72), (140, 72), FRAMES)
    lost = path.copy()
    lost[10:] = np.nan
    stage = tracks.build(tracks.Config(tracker="lucas_kanade"))
    stage.tracker = Scripted(dict.fromkeys(PLACES[:1], lost))
    one = Entity("e0", "disc", masks={PLACES[0]: disc(path, PLACES[0])})
    stage.tracker.steps = dict.fromkeys(range(FRAMES), lost)
    (dropped,) = stage(replace(drawn(STILL), entities=(one,)))
    assert "it is followed in 40% of the frames, expected 60% at least" in str(dropped.reason)
    (dropped,) = stage(drawn(STILL))
    assert "it has no entities" in str(dropped.reason)


def test_trackers_that_are_absent_are_named(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tracks.Config().chosen() == ("lucas_kanade", None)
    assert tracks.build(tracks.Config()).needs() == []
    (need,) = tracks.build(tracks.Config("cotracker3")).needs()
    assert "CoTracker3 (102 MB, CC-BY-NC-4.0)" in need and "scaled_offline.pth" in need
    assert "huggingface.co/facebook/cotracker3" in need
    (need,) = tracks.build(tracks.Config("tapir")).needs()
    assert "tracker is 'tapir', expected one of" in need


def test_a_cut_out_has_the_mask_as_alpha() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    mask[12, 40] = False
    cutout = cut_out(frame, mask)
    assert cutout.shape == (10, 20, 4) and cutout.dtype == np.uint8
    assert (cutout[..., :3] == frame[10:20, 30:50]).all()
    assert ((cutout[..., 3] == 255) == mask[10:20, 30:50]).all() and cutout[2, 10, 3] == 0
    white = on_white(cutout)
    assert (white[2, 10] == 255).all() and (white[0, 0] == frame[10, 30]).all()
    with pytest.raises(ValueError, match="empty"):
        cut_out(frame, mask & ~mask)
    with pytest.raises(ValueError, match="expected the frame's"):
        cut_out(frame[1:], mask)


class Faces:
    """A detector that sees a face in every picture whose first pixel is bright."""

    key = "none"

    def detect(self, image: Tensor) -> Sequence[Face]:
        height, width = image.shape[1:]
        if int(image[:, height // 2, width // 2].max()) < 200:
            return []
        return [Face((0.0, 0.0, float(width), float(height)), 0.9, ((1.0, 1.0),) * 5)]


def person(bright: Sequence[bool]) -> Candidate:
    """A person whose face is to be seen in some of three frames, and a ball."""
    frames = np.full((FRAMES, *SIZE, 3), 100, np.uint8)
    own = np.zeros(SIZE, bool)
    own[20:100, 20:60] = True
    ball = np.zeros(SIZE, bool)
    ball[100:140, 100:140] = True
    for place, seen in zip(PLACES, bright, strict=True):
        frames[place, 20:100, 20:60] = 210 if seen else 40 + place
    entities = (
        Entity("e0", "woman", kind="human", masks=dict.fromkeys(PLACES, own)),
        Entity("e1", "ball", masks=dict.fromkeys(PLACES, ball)),
    )
    return replace(drawn(frames), entities=entities)


def stage(**settings: object) -> references.References:
    made = references.build(references.Config(device="cpu", **settings))  # type: ignore[arg-type]
    made.detector = Faces()
    return made


def test_references_of_people_begin_with_those_that_show_a_face() -> None:
    (kept,) = stage()(person([False, True, False]))
    assert [entity.id for entity in kept.entities] == ["e0", "e1"]
    assert kept.scores["references"] == 3
    looks = [int(reference[0, 0, 0]) for reference in kept.entities[0].references]
    assert looks == [210, 40 + PLACES[0], 40 + PLACES[2]]
    assert all(reference.shape == (80, 40, 4) for reference in kept.entities[0].references)


def test_people_without_a_face_are_left_out_unless_they_may_stay() -> None:
    without = person([False] * 3)
    (kept,) = stage()(without)
    assert [entity.word for entity in kept.entities] == ["ball"] and kept.scores["entities"] == 1
    (kept,) = stage(faces="prefer")(without)
    assert [entity.word for entity in kept.entities] == ["woman", "ball"]
    alone = replace(without, entities=without.entities[:1])
    (dropped,) = stage()(alone)
    assert dropped.reason == "no entity is left (woman: no face is found in it)"


def test_small_cut_outs_are_left_out() -> None:
    (dropped,) = stage(smallest=41)(person([True] * 3))
    assert dropped.dropped_by == "references"
    assert "woman: its cut-outs are 40 pixels, expected 41 at least" in str(dropped.reason)


def test_face_networks_that_are_absent_are_named(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    needs = references.build(references.Config()).needs()
    assert "antelopev2 (361 MB, for non-commercial research only)" in needs[-1]
    assert "github.com/deepinsight/insightface" in needs[-1]
    assert references.build(references.Config(faces="off")).needs() == []


def test_coloured_discs_from_words_to_references(video: np.ndarray) -> None:
    """Nouns to masks, tracks and references, by a segmenter that is registered."""
    segmenters.register("by_colour", ByColour)
    coloured = video.copy()
    tint = {0: (1.0, 0.25, 0.25), 2: (0.25, 0.25, 1.0)}
    for (channel, factors), path in zip(tint.items(), PATHS, strict=True):
        for time in range(FRAMES):
            own = disc(path, time, RADIUS + 1)
            coloured[time][own] = (coloured[time][own] * factors).astype(np.uint8)
            coloured[time, own, channel] = 155 + coloured[time, own, channel] * 100 // 255
    outside = np.ones((FRAMES, *SIZE), bool)
    for time in range(FRAMES):
        outside[time] = ~(disc(PATHS[0], time, RADIUS + 1) | disc(PATHS[1], time, RADIUS + 1))
    coloured[outside] = coloured[outside].mean(-1, keepdims=True).astype(np.uint8)
    nouns = [Noun("red disc", (2, 10)), Noun("blue disc", (17, 26))]
    clip = drawn(coloured, "a red disc and a blue disc", nouns)
    config = masks.Config("by_colour", smallest=0.01, device="cpu")
    steps = [
        masks.build(config),
        tracks.build(tracks.Config("lucas_kanade", short_side=144)),
        references.build(references.Config(faces="off", smallest=16)),
    ]
    current: Candidate = clip
    for step in steps:
        assert list(step.needs()) == []
        step.open()
        (current,) = step(current)
        assert current.kept, current.reason
    assert [entity.word for entity in current.entities] == ["red disc", "blue disc"]
    for entity, path in zip(current.entities, PATHS, strict=True):
        assert error(entity.tracks[0].points, path).max() < 1
        assert len(entity.references) == 3
        for reference in entity.references:
            area = (reference[..., 3] == 255).sum()
            assert area == pytest.approx(np.pi * (RADIUS + 1) ** 2, rel=0.06)
