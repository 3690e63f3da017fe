"""The stage in which the bundled model's decoder learns from the model's own samples."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import SMALL_TRAINING
from torch import Tensor

from tora2.data.clips import ClipBatch
from tora2.data.spritebind import SpriteBind, SpriteBindConfig
from tora2.pipeline import Tora2Pipeline
from tora2.training.recipes.tiny import decoder, run

COMPONENTS = SMALL_TRAINING.replace("autoencoder: {{", "autoencoder: {{encoder: components, ")


def trained(folder: Path, name: str, extra: str = "") -> Tora2Pipeline:
    path = folder / f"{name}.yaml"
    path.write_text(COMPONENTS.format(output=folder / name) + extra)
    return Tora2Pipeline.from_pretrained(run(path), "cpu", torch.float32)


def test_the_decoder_undoes_what_samples_have_in_common_and_latents_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained(tmp_path, "plain")
    before = copy.deepcopy(model.vae)

    def pale(pipeline: Tora2Pipeline, clips: ClipBatch, *_: Any, **__: Any) -> Tensor:
        """A model that draws everything at half its contrast."""
        return clips.latents.float() / 2

    monkeypatch.setattr(decoder, "sample_clip_latents", pale)
    data = SpriteBind(SpriteBindConfig(size=32, frames=5, picture=32, sigma=3.0), 0)
    errors: list[dict[str, float]] = []
    budget = decoder.DecoderTraining(steps=80, own=0.5, learning_rate=0.03)
    decoder.train_decoder(model, budget, data, 0, lambda step, error: errors.append(error))
    assert len(errors) == 80 and errors[0].keys() == {"sampled", "encoded"}
    first, last = (sum(e["sampled"] for e in part) / 5 for part in (errors[:5], errors[-5:]))
    assert last < 0.8 * first, (first, last)
    video = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    assert torch.equal(model.vae.encode(video), before.encode(video))
    assert not any(parameter.requires_grad for parameter in model.vae.parameters())


def test_it_is_the_last_stage_of_a_run_and_changes_the_decoder_alone(tmp_path: Path) -> None:
    plain = trained(tmp_path, "plain")
    more = trained(tmp_path, "more", "decoder_training: {steps: 2, sampling_steps: 1}\n")
    for name in ("transformer", "text_encoder", "adapter"):
        states = [getattr(model, name).state_dict() for model in (plain, more)]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    own, others = (model.vae.state_dict() for model in (plain, more))
    assert {key.split(".")[0] for key in own if not torch.equal(own[key], others[key])} == {
        "from_latent",
        "decoder",
        "patch_out",
        "refine",
    }


@pytest.mark.parametrize("key", ["clips", "backbone_from"])
def test_clips_in_shards_and_a_frozen_backbone_have_no_such_stage(tmp_path: Path, key: str) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(
        SMALL_TRAINING.format(output=tmp_path) + f"{key}: x\ndecoder_training: {{steps: 1}}\n"
    )
    with pytest.raises(ValueError, match=f"'{key}' and 'decoder_training.steps' are both set"):
        run(path)
