"""Subj-S, Face-S and Dync-D against numbers of MSRVTT-Personalization's own evaluators."""

import json
from pathlib import Path
from typing import Any

import pytest
import small_evaluators as small
import torch
from transformers import (
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SwinConfig,
)

from tora2.encoders.pictures import Picture
from tora2.encoders.protocols import Face
from tora2.evaluation.dynamics import dynamic_degree, thinned
from tora2.evaluation.faces import Faces, extended
from tora2.evaluation.metrics.subject_similarity import subject_similarity
from tora2.evaluation.subjects import Subjects

FILE = Path(__file__).parents[1] / "fixtures" / "msrvtt_evaluators.json"
RECORDED = json.loads(FILE.read_text()) if FILE.exists() else {"dynamic": []}
recorded_ones = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE.name} is not recorded")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizer:
    folder = tmp_path_factory.mktemp("words")
    (folder / "vocab.txt").write_text("\n".join(small.VOCABULARY) + "\n")
    return BertTokenizer.from_pretrained(folder)


@pytest.fixture
def subjects(tokenizer: BertTokenizer) -> Subjects:
    return Subjects(small.Detector().eval(), tokenizer, small.sam(), small.dino())


@recorded_ones
def test_subj_s_is_the_evaluators(subjects: Subjects) -> None:
    references = small.references()
    found = subjects.embedded(small.video(), list(references))
    expected = RECORDED["subject"]["similarity"]
    assert subject_similarity(found, references) == pytest.approx(expected, abs=1e-4)


@recorded_ones
def test_boxes_and_pixels_are_the_evaluators(subjects: Subjects) -> None:
    recorded = RECORDED["subject"]
    for frame, boxes in zip(small.video(), recorded["boxes"], strict=True):
        found = subjects.find(frame.movedim(-1, 0), list(small.WORDS))
        assert {word: list(one.box) for word, one in found.items()} == {
            word: box for word, (box, _) in boxes.items()
        }
        for word, (_, score) in boxes.items():
            assert found[word].score == pytest.approx(score, abs=1e-6)
    detector: Any = subjects.grounding
    for seen, (mean, std, height, width) in zip(detector.seen, recorded["pixels"], strict=True):
        assert seen.shape[2:] == (height, width)
        assert float(seen.mean()) == pytest.approx(mean, abs=1e-4)
        assert float(seen.std()) == pytest.approx(std, abs=1e-4)


@recorded_ones
def test_masks_are_the_evaluators(subjects: Subjects, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = RECORDED["subject"]
    monkeypatch.setattr("tora2.evaluation.subjects._MASK", -9.0)
    for frame, boxes, masks in zip(
        small.video(), recorded["boxes"], recorded["masks"], strict=True
    ):
        if boxes:
            found = subjects.masks(frame.movedim(-1, 0), [box for box, _ in boxes.values()])
            for mask, (area, _) in zip(found, masks.values(), strict=True):
                assert mask is not None and abs(int(mask.sum()) - area) <= 2


class Detected:
    """Gives the recorded detections, and stands for ArcFace too."""

    def __init__(self) -> None:
        self.time = -1

    def detect(self, picture: torch.Tensor) -> list[Face]:
        self.time += 1
        return [Face(row[:4], row[4], ()) for row in small.FACES[self.time]]  # type: ignore[arg-type]

    def embed_square(self, square: torch.Tensor) -> torch.Tensor:
        return small.face_vector(square.float().div(255).sub(0.5).div(0.5))


@recorded_ones
def test_face_s_is_the_evaluators() -> None:
    pytest.importorskip("cv2")
    detected = Detected()
    found = Faces(detected, detected).similarity(small.video(), small.face_references())
    assert found == pytest.approx(RECORDED["face"]["similarity"], abs=1e-5)
    for rows, expected in zip(small.FACES, RECORDED["face"]["boxes"], strict=True):
        if expected is not None:
            best = max(rows, key=lambda row: row[4])
            ours = extended(best[:4], (small.HEIGHT, small.WIDTH))
            assert all(abs(x - y) <= 1 for x, y in zip(ours, expected, strict=True))


class Flowing(torch.nn.Module):
    """Stands for RAFT."""

    def __init__(self, flows: torch.Tensor) -> None:
        super().__init__()
        self.flows = iter(flows)

    def forward(self, one: torch.Tensor, two: torch.Tensor, num_flow_updates: int) -> Any:
        flow = next(self.flows)[None]
        assert num_flow_updates == 20 and one.shape[2:] == flow.shape[2:]
        return [flow]


@pytest.mark.parametrize("case", RECORDED["dynamic"])
def test_dync_d_is_the_evaluators(case: dict[str, Any]) -> None:
    height, width, count = case["height"], case["width"], case["frames"]
    padded = -(-height // 8) * 8, -(-width // 8) * 8
    flows = small.flows(case["seed"], count - 1, *padded)
    frames = torch.zeros(count, height, width, 3, dtype=torch.uint8)
    assert dynamic_degree(frames, 8.0, Flowing(flows)) == bool(case["dynamic"])


def test_dync_d_looks_eight_times_a_second() -> None:
    frames = torch.arange(33)[:, None, None, None].expand(33, 8, 8, 3)
    assert thinned(frames, 24.0)[:, 0, 0, 0].tolist() == list(range(0, 33, 3))
    assert len(thinned(frames, 5.0)) == 33
    with pytest.raises(ValueError, match="expected two frames"):
        dynamic_degree(frames[:1].byte(), 8.0, Flowing(frames))


def test_a_face_that_nobody_has_is_said() -> None:
    pytest.importorskip("cv2")
    detected = Detected()
    detected.time = 0  # the next frame has none
    picture = Picture(torch.zeros(3, 40, 40, dtype=torch.uint8))
    with pytest.raises(ValueError, match="none of 1 pictures shows a face"):
        Faces(detected, detected).embed([picture])


def test_networks_load_from_folders_and_run(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    """Tiny random ones, through transformers: nothing is found, and 0 is the number."""
    backbone = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        out_indices=[2, 3, 4],
        window_size=2,
    )
    config = GroundingDinoConfig(
        backbone_config=backbone,
        text_config={
            "model_type": "bert",
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "vocab_size": len(small.VOCABULARY),
        },
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=5,
        num_feature_levels=3,
    )
    torch.manual_seed(0)
    GroundingDinoForObjectDetection(config).save_pretrained(tmp_path / "grounding")
    with pytest.raises(ValueError, match=r"sam has no config.json, expected a folder of SAM"):
        Subjects.from_folder(tmp_path)
    tokenizer.save_pretrained(tmp_path / "grounding")
    small.sam().save_pretrained(tmp_path / "sam")
    small.dino().save_pretrained(tmp_path / "dino")
    loaded = Subjects.from_folder(tmp_path, "cpu")
    found = loaded.embedded(small.video()[:1], ["hot dog", "woman"])
    assert len(found) == 1
    picture = Picture(small.video()[0].movedim(-1, 0))
    assert loaded.embed([picture], "woman").shape == (1, 32)
    with pytest.raises(ValueError, match="has no token"):
        loaded.find(small.video()[0].movedim(-1, 0), [""])
    (tmp_path / "dino" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"dino cannot be loaded"):
        Subjects.from_folder(tmp_path, "cpu")
