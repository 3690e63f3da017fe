"""The measuring nodes on the real host: numbers, pictures, sentences, and a sweep."""

import json
import math
from typing import Any

import builders
import discs
import numpy as np
import pytest
import torch
from test_graphs import Executor, Taker

HEIGHT, WIDTH, FRAMES = 128, 160, 17
PATH = discs.arc((84, 64), 34, FRAMES, 2.5)


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    return discs.video([PATH], (HEIGHT, WIDTH)).float() / 255


def document(pack: builders.Pack, path: Any) -> Any:
    points = [{"x": x / WIDTH, "y": y / HEIGHT, "frame": t} for t, (x, y) in enumerate(path)]
    return pack("tora2.trajectory").parse(
        {
            "version": 1,
            "width": WIDTH,
            "height": HEIGHT,
            "frames": FRAMES,
            "entities": [{"id": "a", "name": "ball"}],
            "tracks": [{"id": "t", "entity": "a", "curve": "linear", "points": points}],
        }
    )


def test_a_trajectory_is_measured(host: Any, pack: builders.Pack, frames: torch.Tensor) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2MeasureTrajectory"]
    overlay, chart, error, report, found = node.execute(
        frames, document(pack, PATH + [12, 0]), scale=2
    ).result
    assert overlay.shape == (FRAMES, 2 * HEIGHT, 2 * WIDTH, 3)
    assert chart.shape[0] == 1 and chart.shape[-1] == 3 and chart.std() > 0.05
    assert error == pytest.approx(12, abs=1.2)
    assert "TrajError of ball (a): 1" in report and "lucas_kanade" in report
    entity = json.loads(found)["entities"]["a"]
    assert entity["word"] == "ball" and entity["trajectory_error"] == pytest.approx(error)
    as_the_paper = node.execute(
        frames, document(pack, PATH + [12, 0]), anchor="path (as the paper)"
    )
    assert as_the_paper.result[2] < 1
    # Three frames too many, as CogVideoX's VAE makes them, are left out.
    longer = torch.cat([frames[:1].expand(3, -1, -1, -1), frames])
    assert node.execute(longer, document(pack, PATH)).result[2] < 0.7


def test_what_cannot_be_measured_is_no_number(host: Any, pack: builders.Pack) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2MeasureTrajectory"]
    grey = torch.full((FRAMES, HEIGHT, WIDTH, 3), 0.4)
    _, _, error, report, found = node.execute(grey, document(pack, PATH)).result
    assert math.isnan(error) and "not measured" in report
    assert json.loads(found)["trajectory_error"] is None


def test_a_video_is_tracked(host: Any, pack: builders.Pack, frames: torch.Tensor) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2TrackVideo"]
    x, y = PATH[4]
    trajectories, tracks, text, report = node.execute(frames, f"{x:.2f},{y:.2f}@4").result
    sampled = pack("tora2.trajectory").sample(trajectories).points[0].numpy()
    assert np.abs(sampled - PATH).max() < 2 and len(trajectories.tracks[0].points) < 9
    assert tracks["track_path"].shape == (FRAMES, 1, 2)
    assert pack("tora2.trajectory").parse(text) == trajectories and "frames 0 to 16" in report
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    mask = torch.from_numpy(np.hypot(xs - PATH[0, 0], ys - PATH[0, 1]) < 14).float()[None]
    masked = node.execute(frames, masks=mask).result[0]
    error = host.NODE_CLASS_MAPPINGS["Tora2MeasureTrajectory"].execute(frames, masked).result[2]
    assert error < 1.5
    for inputs, words in (
        ({}, "expected points or masks"),
        ({"points": "9,9@99"}, "expected a frame from 0 to 16"),
        ({"masks": mask, "mask_frame": 99}, "mask_frame is 99"),
        ({"masks": mask * 0}, "mask 1 is empty"),
    ):
        with pytest.raises(ValueError, match=words):
            node.execute(frames, **inputs)


class Networks:
    """Stand for Grounding DINO, SAM and DINO: a ball is found in every other frame."""

    def ready(self) -> "Networks":
        return self

    def embed(self, pictures: Any, word: str) -> torch.Tensor:
        return torch.tensor([[1.0, 0.0]]).expand(len(pictures), 2)

    def embedded(self, frames: torch.Tensor, words: Any, progress: Any) -> list[dict[str, Any]]:
        found = []
        for time in range(len(frames)):
            progress()
            found.append({} if time % 2 else {"ball": torch.tensor([0.6, 0.8])})
        return found


class Looked:
    """Stands for a face detector and ArcFace."""

    def detect(self, picture: torch.Tensor) -> Any:
        return [self.face]

    def embed_square(self, square: torch.Tensor) -> torch.Tensor:
        return square.float().mean((1, 2))


def test_likeness_is_measured(
    host: Any, pack: builders.Pack, frames: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2MeasureLikeness"]
    entities, routing = pack("tora2.encoders.entity"), pack("tora2.encoders.routing")
    crop = torch.full((1, 3, 224, 224), 90, dtype=torch.uint8)

    def entity(word: str, branch: str) -> Any:
        taken = routing.Routing(branch, (0, 0, 9, 9), None, "because")
        return entities.EncodedEntity(word, routings=(taken,), preview=crop)

    ball, woman = entity("ball", "object"), entity("woman", "face")
    monkeypatch.setattr(pack("nodes.host.measures"), "load_subjects", lambda name: Networks())
    subject, face, chart, report, found = node.execute(
        frames, {"entity0": ball, "entity1": None}, "folder"
    ).result
    assert subject == pytest.approx(0.6 * 9 / 17) and math.isnan(face)
    assert chart.std() > 0.05 and "Subj-S of ball: 0.318" in report
    rows = json.loads(found)["over_frames"]
    assert rows["ball"][:2] == [pytest.approx(0.6), 0]
    looked = Looked()
    looked.face = pack("tora2.encoders.protocols").Face((20, 20, 90, 90), 0.9, ())
    encoders = entities.Encoders(face=pack("tora2.encoders.face").FaceEncoder(looked, looked))
    _, face, _, report, _ = node.execute(frames, {"entity0": woman}, encoders=encoders).result
    assert 0.5 < face <= 1 and "Face-S of woman" in report
    _, face, _, report, _ = node.execute(
        frames, {"entity0": woman, "entity1": entity("man", "face")}, encoders=encoders
    ).result
    assert math.isnan(face) and "2 entities" in report
    with pytest.raises(ValueError, match="nothing to measure with"):
        node.execute(frames, {"entity0": ball})
    with pytest.raises(ValueError, match="no entity has pictures"):
        node.execute(frames, {"entity0": entities.EncodedEntity("cat")}, "folder")


def test_a_sweep_runs_what_is_behind_it_once_a_value(
    host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(host.NODE_CLASS_MAPPINGS, "Taker", Taker)
    monkeypatch.setattr(Taker, "got", [])
    prompt = {
        "1": {"class_type": "Tora2Sweep", "inputs": {"values": "2, 0.5,1"}},
        "2": {"class_type": "Taker", "inputs": {"value": ["1", 0]}},
        "3": {
            "class_type": "Tora2SweepChart",
            "inputs": {"values": ["1", 0], "measured": ["1", 0], "x": "strength", "y": "error"},
        },
        "4": {"class_type": "Taker", "inputs": {"value": ["3", 1]}},
        "5": {"class_type": "Taker", "inputs": {"value": ["3", 0]}},
    }
    assert Executor().run(prompt, "2", "4", "5")[-1][0] == "execution_success"
    assert [value for value in Taker.got if isinstance(value, float)] == [2.0, 0.5, 1.0]
    table = next(json.loads(value) for value in Taker.got if isinstance(value, str))
    assert table[0] == {"strength": 0.5, "error": 0.5} and len(table) == 3
    assert any(getattr(value, "ndim", 0) == 4 for value in Taker.got)


@pytest.mark.parametrize("values", ["", "1, two", "nan", ",".join("1" * 40)])
def test_other_values_are_refused(host: Any, values: str) -> None:
    said = host.NODE_CLASS_MAPPINGS["Tora2Sweep"].validate_inputs(values=values)
    assert isinstance(said, str) and "values" in said and "expected" in said


def test_what_is_not_installed_is_said_before_the_video_is_made(
    host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    node = host.NODE_CLASS_MAPPINGS["Tora2MeasureTrajectory"]
    assert node.validate_inputs(tracker="lucas_kanade", weights="none") is True
    monkeypatch.setitem(sys.modules, "cv2", None)
    said = node.validate_inputs(tracker="lucas_kanade", weights="none")
    assert "needs OpenCV; install it with: pip install" in said
    assert node.validate_inputs(tracker="colour", weights="none") is True
