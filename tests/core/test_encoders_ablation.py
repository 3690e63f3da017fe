"""Table 2's extractors: what each reads, and that the default stays as it was."""

import pytest
import torch

from tora2.conditioning import EntityCondition, Tora2Conditioning
from tora2.encoders.features import PictureFeatures
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.models.config import EXTRACTORS
from tora2.models.personalization import LinearExtractor

LINEAR = [mode for mode in EXTRACTORS if mode != "dpe"]


def _inputs(references: int = 2):
    torch.manual_seed(0)
    return {
        "semantic": torch.randn(1, references, 5, 8),
        "face": torch.randn(1, references, 4),
        "object": torch.randn(1, references, 6),
        "is_face": torch.zeros(1, references, dtype=torch.bool),
        "present": torch.ones(1, references, dtype=torch.bool),
    }


@pytest.mark.parametrize("mode", LINEAR)
def test_each_mode_reads_exactly_its_features(mode: str) -> None:
    extractor = LinearExtractor(8, 4, 6, 16, mode, prior_tokens=2)
    inputs = _inputs()
    if mode == "dino_reid_face":
        inputs["is_face"][0, 0] = True
    reads = {}
    for name in ("semantic", "face", "object"):
        inputs[name].requires_grad_()
    extractor(**inputs).square().sum().backward()
    for name in ("semantic", "face", "object"):
        grad = inputs[name].grad
        reads[name] = grad is not None and bool(grad.abs().sum() > 0)
    assert reads == {
        "semantic": True,
        "face": mode == "dino_reid_face",
        "object": mode != "dino",
    }


@pytest.mark.parametrize("mode", LINEAR)
def test_missing_references_are_filled_with_those_that_exist(mode: str) -> None:
    extractor = LinearExtractor(8, 4, 6, 16, mode, prior_tokens=2)
    inputs = _inputs(3)
    inputs["present"][0, 1] = False
    p = extractor(**inputs).unflatten(1, (3, -1))
    assert torch.equal(p[:, 0], p[:, 2])
    assert not torch.equal(p[:, 0], p[:, 1])
    inputs["semantic"][0, 1] = float("nan")
    assert extractor(**inputs).isfinite().all()


def test_reid_alone_refuses_the_face_branch() -> None:
    extractor = LinearExtractor(8, 4, 6, 16, "dino_reid")
    inputs = _inputs()
    inputs["is_face"][0, 0] = True
    with pytest.raises(ValueError, match="dino_reid"):
        extractor(**inputs)


@pytest.mark.parametrize("mode", EXTRACTORS)
def test_an_entity_means_the_same_in_any_batch(mode: str) -> None:
    torch.manual_seed(0)
    adapter = Tora2Adapter(Tora2Config.preset("tiny", extractor=mode)).eval()
    for parameter in adapter.cross_attention.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    picture = PictureFeatures(torch.randn(16, 96), torch.randn(96), "object")
    entity = EntityCondition((picture,), torch.randn(2, 128))
    tokens = torch.randn(1, 12, 192)
    alone = Tora2Conditioning.build(adapter, entities=[entity]).attend(0, tokens)
    beside = Tora2Conditioning.build(adapter, entities=[EntityCondition(), entity])
    assert not torch.equal(alone, tokens)
    torch.testing.assert_close(beside.attend(0, tokens), alone, rtol=0, atol=1e-5)


def test_the_mode_is_part_of_the_configuration() -> None:
    config = Tora2Config.preset("tiny", extractor="dino")
    assert Tora2Config.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="'dinov3'.*dino_reid"):
        Tora2Config(extractor="dinov3")


def test_the_default_extractor_keeps_its_tensors() -> None:
    adapter = Tora2Adapter(Tora2Config.preset("tiny"))
    assert adapter.personalization is not None
    names = {name.split(".")[0] for name in adapter.personalization.state_dict()}
    assert names == {
        "face_adapter",
        "object_adapter",
        "semantic_projection",
        "type_embedding",
        "reference_embedding",
        "queries",
        "layers",
        "norm_out",
    }
    assert adapter.null_p.shape == (8, 128)
