"""Text and looks: the formulas on drawn input, and the published code on tiny checkpoints."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import tiny_published
import torch
from drawn_clips import drawn
from safetensors.torch import save_file

from tora2.curation.aesthetic_head import AestheticHead, read_head
from tora2.curation.coverage import covered
from tora2.curation.pretrained import Published
from tora2.curation.stages import aesthetic, text

VIDEO = np.random.default_rng(0).integers(0, 255, (9, 90, 120, 3)).astype(np.uint8)


def box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def test_the_share_that_text_covers() -> None:
    assert covered([], (90, 120)) == 0
    assert covered([box(0, 0, 120, 90)], (90, 120)) == 1
    assert covered([box(10, 20, 40, 60)], (90, 120)) == 1200 / 10800
    assert covered([box(10, 20, 40, 60)] * 3, (90, 120)) == 1200 / 10800
    assert covered([box(0, 0, 20, 10), box(10, 0, 30, 10)], (90, 120)) == 300 / 10800
    assert covered([box(-50, -50, 10, 10)], (90, 120)) == 100 / 10800
    assert covered([box(130, 0, 150, 10), box(5, 5, 5, 5)], (90, 120)) == 0
    turned = [(60, 25), (80, 45), (60, 65), (40, 45)]
    assert covered([turned], (90, 120)) == pytest.approx(800 / 10800, rel=0.06)
    assert covered([turned[::-1]], (90, 120)) == covered([turned], (90, 120))


def test_much_text_drops_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = text.build(text.Config(device="cpu"))
    boxes = {0: [], 1: [box(0, 0, 12, 18)], 2: [box(0, 0, 12, 9), box(30, 0, 42, 9)]}
    found = [np.array(boxes[place], np.int16).reshape(-1, 4, 2) for place in range(3)]
    monkeypatch.setattr(stage, "boxes", lambda frames: found)
    (kept,) = stage(drawn(VIDEO))
    assert kept.kept and kept.scores == {"text_area": 0.02, "text_boxes": 2}
    found[1] = np.array([box(0, 0, 12, 19)], np.int16)
    (dropped,) = stage(drawn(VIDEO))
    assert dropped.dropped_by == "text" and dropped.scores["text_area"] > 0.02
    assert dropped.reason == "text covers 2.1% of it, expected 2.0% at most"
    stage = text.build(text.Config(most_area=1, most_boxes=1))
    monkeypatch.setattr(stage, "boxes", lambda frames: found)
    (dropped,) = stage(drawn(VIDEO))
    assert dropped.reason == "2 pieces of text, expected 1 at most"


def test_the_text_detector_runs_as_published(tmp_path: Path) -> None:
    folder = tiny_published.text_detector(tmp_path)
    config = text.Config(str(folder), device="cpu", threshold=0.2, box_threshold=0.2)
    stage = pickle.loads(pickle.dumps(text.build(config)))
    assert stage.needs() == [] and stage.resources.gpus == 0
    stage.open()
    found = stage.boxes(VIDEO[:3])
    assert len(found) == 3 and all(one.shape[1:] == (4, 2) for one in found)
    # A random network's map is about one half everywhere: all of it is text.
    (dropped,) = stage(drawn(VIDEO))
    assert dropped.dropped_by == "text" and dropped.scores["text_area"] > 0.5
    assert dropped.scores["text_boxes"] >= 1
    none = text.build(text.Config(str(folder), device="cpu", threshold=0.99))
    none.open()
    (kept,) = none(drawn(VIDEO))
    assert kept.kept and kept.scores == {"text_area": 0, "text_boxes": 0}


def test_other_folders_are_one_sentence(tmp_path: Path) -> None:
    tiny_published.clip(tmp_path)
    stage = text.build(text.Config(str(tmp_path)))
    with pytest.raises(ValueError, match="expected a text detector of transformers"):
        stage.open()


def layers(widths: list[int], seed: int = 0) -> dict[str, torch.Tensor]:
    """A head as it is published, with the places of its dropout layers left out."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for place, (a, b) in zip([0, 2, 4, 6, 7], zip(widths, widths[1:], strict=False), strict=False):
        state[f"layers.{place}.weight"] = torch.randn(b, a, generator=generator) / a**0.5
        state[f"layers.{place}.bias"] = torch.randn(b, generator=generator)
    return state


def test_the_head_is_a_linear_map_of_the_normalised_embedding() -> None:
    state = layers([16, 12, 8, 4, 2, 1])
    head = AestheticHead(state)
    x = torch.randn(5, 16)
    matrix, bias = torch.eye(16), torch.zeros(16)
    for place in (0, 2, 4, 6, 7):
        weight = state[f"layers.{place}.weight"]
        matrix, bias = weight @ matrix, weight @ bias + state[f"layers.{place}.bias"]
    unit = x / x.norm(dim=-1, keepdim=True)
    assert torch.allclose(head(x), (unit @ matrix.T + bias)[:, 0], atol=1e-5)
    assert torch.allclose(head(7 * x), head(x), atol=1e-5)
    one = AestheticHead({"weight": torch.ones(1, 4), "bias": torch.tensor([3.0])})
    assert float(one(torch.tensor([[2.0, 0, 0, 0]]))) == 4


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"layers.0.weight": torch.zeros(1, 4)},
        {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)},
        {"conv.weight": torch.zeros(1, 4)},
        {**layers([16, 8]), "layers.2.weight": torch.zeros(1, 9), "layers.2.bias": torch.zeros(1)},
    ],
)
def test_other_heads_are_one_sentence(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(state or {"a": torch.zeros(1)}, tmp_path / "head.pth")
    with pytest.raises(ValueError, match=r"head.pth is no aesthetic head: .*expected"):
        read_head(tmp_path / "head.pth")


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_aesthetic_scores_are_clips_embeddings_through_the_head(tmp_path: Path, kind: str) -> None:
    folder = tiny_published.clip(tmp_path / "clip")
    state, file = layers([16, 4, 1]), tmp_path / "head.pth"
    if kind == "torch":
        torch.save(state, file)
    else:
        save_file(state, file)
    config = aesthetic.Config(str(folder), str(file), least=-100, device="cpu")
    stage = pickle.loads(pickle.dumps(aesthetic.build(config)))
    assert stage.needs() == []
    stage.open()
    (kept,) = stage(drawn(VIDEO))
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder).eval()
    frames = torch.tensor(VIDEO[[0, 4, 8]])
    with torch.no_grad():
        pooled = model.vision_model(pixel_values=stage.clip.pixels(frames)).pooler_output
        expected = AestheticHead(state)(model.visual_projection(pooled)).mean()
    assert kept.kept and kept.scores["aesthetic"] == pytest.approx(float(expected), abs=1e-5)
    score = kept.scores["aesthetic"]
    exact = aesthetic.build(aesthetic.Config(str(folder), str(file), device="cpu"))
    exact.open()
    monkey = drawn(VIDEO)
    (dropped,) = exact(monkey)
    assert dropped.dropped_by == "aesthetic" and score < 5
    assert dropped.reason == f"its aesthetic score is {score:.2f}, expected more than 5"


def test_a_head_of_another_clip_is_one_sentence(tmp_path: Path) -> None:
    folder = tiny_published.clip(tmp_path / "clip")
    torch.save(layers([12, 1]), tmp_path / "head.pth")
    config = aesthetic.Config(str(folder), str(tmp_path / "head.pth"), device="cpu")
    with pytest.raises(ValueError, match="takes embeddings of 12 numbers .* gives 16, expected"):
        aesthetic.build(config).open()


def test_absent_models_are_named_with_where_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (need,) = text.build(text.Config()).needs()
    assert need.startswith("text needs PP-OCRv5's text detector (88 MB, Apache-2.0): searched in")
    assert "huggingface.co/PaddlePaddle/PP-OCRv5_server_det_safetensors" in need
    clip, head = aesthetic.build(aesthetic.Config()).needs()
    assert "CLIP ViT-L/14 (1.71 GB, MIT)" in clip and "models/clip-vit-large-patch14" in clip
    assert "sac+logos+ava1-l14-linearMSE.pth" in head and "improved-aesthetic-predictor" in head


def test_a_model_is_found_in_its_folder_and_in_the_hubs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Published("a model", "owner/tiny-model", "1 MB", "MIT")
    assert model.find(None) is None and len(model.needs(None, "x.model")) == 1
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    snapshot = cache / "models--owner--tiny-model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    refs = cache / "models--owner--tiny-model" / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    assert model.find(None) == snapshot
    own = tmp_path / "models" / "tiny-model"
    own.mkdir(parents=True)
    (own / "config.json").write_text("{}")
    assert model.find(None) == Path("models/tiny-model")
    assert model.find(str(own)) == own and model.find("elsewhere") is None
    with pytest.raises(ValueError, match="a model is not here: searched in elsewhere"):
        model.folder("elsewhere")
