"""Entities: masks by size, pieces and overlap, on drawn shapes and through real segmenters."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_published
from drawn_clips import ByColour, Frames, drawn

from tora2.curation import segmenters
from tora2.curation.candidate import Candidate, Noun
from tora2.curation.moments import ENTITY, QUALITY, moments
from tora2.curation.segmenters import Instances, Setup
from tora2.curation.shapes import Limits, fault, inside, middle, overlap, pieces
from tora2.curation.stages.masks import Config, Masks, build


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((100, 200), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_the_three_frames_are_at_5_50_and_95_percent() -> None:
    assert moments(101, ENTITY) == (5, 50, 95)
    assert moments(49, ENTITY) == (2, 24, 46)
    assert moments(1, ENTITY) == (0,) and moments(2, QUALITY) == (0, 1)
    with pytest.raises(ValueError, match="0 frames"):
        moments(0, ENTITY)


def test_area() -> None:
    limits = Limits(smallest=0.02, largest=0.9)
    assert fault(rectangle(0, 0, 20, 20), limits) is None
    assert "1.9% of the frame, expected 2.0% at least" in str(
        fault(rectangle(0, 0, 19, 20), limits)
    )
    assert fault(rectangle(0, 0, 90, 200), limits) is None
    assert "expected 90.0% at most" in str(fault(rectangle(0, 0, 91, 200), limits))
    assert "0.0% of the frame" in str(fault(rectangle(0, 0, 0, 0), Limits(smallest=0)))


def test_pieces() -> None:
    mask = rectangle(0, 0, 30, 30) | rectangle(50, 50, 10, 20) | rectangle(90, 90, 5, 5)
    assert pieces(mask).tolist() == [900, 200, 25]
    assert fault(mask, Limits()) is None
    two = rectangle(0, 0, 30, 30) | rectangle(50, 50, 20, 20)
    assert "largest piece is 69% of it, expected 70% at least" in str(fault(two, Limits()))
    dots = rectangle(0, 0, 50, 50)
    for place in range(5):
        dots |= rectangle(60, 10 * place, 6, 6)
    assert "6 pieces, expected 5 at most" in str(fault(dots, Limits()))
    dots[60:66, 40:50] = False
    dots[0, 199] = True  # one pixel is no piece
    assert fault(dots, Limits()) is None
    touching = rectangle(0, 0, 10, 10) | rectangle(10, 10, 10, 10)
    assert pieces(touching).tolist() == [200]


def test_overlap() -> None:
    a, b = rectangle(0, 0, 10, 20), rectangle(0, 10, 10, 20)
    assert overlap(a, a) == 1 and overlap(a, b) == pytest.approx(1 / 3)
    assert overlap(a, rectangle(50, 0, 5, 5)) == 0 == overlap(a & ~a, a & ~a)


def test_the_middle_lies_on_the_thing() -> None:
    assert middle(rectangle(10, 20, 20, 40)) == (40, 20)
    assert middle(rectangle(7, 9, 1, 1)) == (9.5, 7.5)
    ys, xs = np.mgrid[:100, :200] + 0.5
    radius = np.hypot(xs - 100, ys - 50)
    ring = (radius < 40) & (radius > 20)
    x, y = middle(ring)
    assert np.hypot(x - 100, y - 50) == pytest.approx(30, abs=1.5)
    with pytest.raises(ValueError, match="empty"):
        middle(ring & ~ring)


def test_points_inside_are_within_and_apart() -> None:
    mask = rectangle(10, 20, 40, 60)
    points = inside(mask, 8)
    assert len(set(points)) == 8
    for x, y in points:
        assert 22 < x < 78 and 12 < y < 48
    near = min(np.hypot(a[0] - b[0], a[1] - b[1]) for a in points for b in points if a is not b)
    assert near > 12
    assert sorted(inside(rectangle(5, 5, 1, 2), 8)) == [(5.5, 5.5), (6.5, 5.5)]
    assert not inside(mask, 0)


def video() -> Frames:
    """uint8 [20, 96, 128, 3]: a red square that moves, a small green one, a blue bar."""
    frames = np.full((20, 96, 128, 3), 90, np.uint8)
    for time in range(20):
        frames[time, 20:40, 10 + 4 * time : 30 + 4 * time] = (220, 40, 40)
    frames[:, 60:66, 60:66] = (40, 200, 40)
    frames[:10, 80:96, :64] = (40, 40, 210)
    return frames


@pytest.fixture
def by_colour() -> None:
    segmenters.register("by_colour", ByColour)


def found(config: Config, words: Sequence[str]) -> Candidate:
    stage = build(config)
    assert stage.needs() == [] and stage.resources.gpus == 0
    stage.open()
    caption = " ".join(words)
    nouns = [Noun(word, (caption.index(word), caption.index(word) + len(word))) for word in words]
    (candidate,) = stage(drawn(video(), caption, nouns))
    return candidate


@pytest.mark.usefixtures("by_colour")
def test_a_registered_segmenter_gives_the_masks() -> None:
    kept = found(Config("by_colour", device="cpu"), ["red square", "green thing", "blue bar"])
    assert kept.kept and kept.scores["entities"] == 1
    (entity,) = kept.entities
    assert (entity.id, entity.word, entity.span) == ("e0", "red square", (0, 10))
    assert sorted(entity.masks) == [1, 10, 18]
    for time, mask in entity.masks.items():
        expected = np.zeros((96, 128), bool)
        expected[20:40, 10 + 4 * time : 30 + 4 * time] = True
        assert (mask == expected).all()


@pytest.mark.usefixtures("by_colour")
def test_thresholds_are_settings() -> None:
    words = ["red square", "green thing", "blue bar"]
    small = found(Config("by_colour", smallest=0.001, device="cpu"), words)
    assert [entity.word for entity in small.entities] == ["red square", "green thing"]
    short = found(Config("by_colour", least_frames=1, device="cpu"), words)
    assert [entity.word for entity in short.entities] == ["red square", "blue bar"]
    one = found(Config("by_colour", least_frames=1, most_entities=1, device="cpu"), words)
    assert len(one.entities) == 1
    none = found(Config("by_colour", smallest=0.5, device="cpu"), words)
    assert none.dropped_by == "masks"
    assert str(none.reason).startswith("no entity is left (red square: it covers 3.3% of the frame")
    assert "purple cow: it is not found" in str(
        found(Config("by_colour", device="cpu"), ["purple cow"]).reason
    )


@pytest.mark.usefixtures("by_colour")
def test_two_words_for_one_thing_are_one_entity() -> None:
    kept = found(Config("by_colour", device="cpu"), ["red square", "red box"])
    assert [entity.word for entity in kept.entities] == ["red square"]


def test_an_unknown_segmenter_is_one_sentence() -> None:
    assert {"grounded_sam2", "sam3"} <= set(segmenters.segmenters())
    with pytest.raises(ValueError, match="segmenter is 'lisa', expected one of .*grounded_sam2"):
        build(Config("lisa"))


FRAMES = np.random.default_rng(0).integers(0, 255, (3, 96, 128, 3)).astype(np.uint8)


def check(instances: Sequence[Instances], confidence: float) -> int:
    assert len(instances) == 3
    for one in instances:
        assert one.masks.dtype == bool and one.masks.shape == (len(one.scores), 96, 128)
        assert ((one.scores > confidence) & (one.scores <= 1)).all()
    return sum(len(one.scores) for one in instances)


def test_sam3_runs_as_published(tmp_path: Path) -> None:
    folder = tiny_published.sam3(tmp_path)
    segmenter = segmenters.build("sam3", Setup(str(folder), confidence=0.1, device="cpu"))
    assert segmenter.needs() == [] and segmenter.memory() > 1 << 30
    segmenter.open()
    assert check(segmenter.segment(FRAMES, "red dog"), 0.1) > 0
    assert check(segmenter.segment(FRAMES, "very " * 60 + "red dog"), 0.1) > 0
    again, fresh = segmenter.segment(FRAMES, "ball"), segmenter.segment(FRAMES.copy(), "ball")
    for one, other in zip(again, fresh, strict=True):
        assert np.allclose(one.scores, other.scores) and (one.masks == other.masks).all()
    sure = segmenters.build("sam3", Setup(str(folder), confidence=0.9, device="cpu"))
    sure.open()
    assert check(sure.segment(FRAMES, "red dog"), 0.9) == 0
    stage = build(Config(model=str(folder), confidence=0.1, smallest=0, whole=0, device="cpu"))
    assert stage.needs() == []
    stage.open()
    (candidate,) = stage(drawn(video(), "a dog", [Noun("dog", (2, 5))]))
    assert candidate.kept or "dog: it covers" in str(candidate.reason)


def test_grounding_dino_with_sam2_runs_as_published(tmp_path: Path) -> None:
    model, detector = tmp_path / "sam2", tmp_path / "dino"
    tiny_published.sam2(model)
    tiny_published.grounding_dino(detector)
    setup = Setup(str(model), str(detector), confidence=0.01, device="cpu")
    segmenter = segmenters.build("grounded_sam2", setup)
    assert segmenter.needs() == []
    segmenter.open()
    assert check(segmenter.segment(FRAMES, "Red ball"), 0.01) > 0
    segmenter.setup = replace(setup, confidence=1.0)  # type: ignore[attr-defined]
    assert check(segmenter.segment(FRAMES, "red ball"), 1.0) == 0


def test_absent_models_are_named_with_where_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (need,) = Masks(Config()).needs()
    assert need.startswith("masks needs SAM 3 (3.4 GB, SAM License, to be accepted on its page")
    assert "models/sam3" in need and "huggingface.co/facebook/sam3" in need
    needs = Masks(Config("grounded_sam2", model="there")).needs()
    assert "searched in there, which has no config.json" in needs[0]
    assert "huggingface.co/IDEA-Research/grounding-dino-base" in needs[1]
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be loaded .*expected SAM 3"):
        stage = build(Config(model=str(tmp_path)))
        stage.open()
