"""Wan 2.1 passes the battery; its names, sizes and schedule."""

from typing import Any

import pytest
import torch
from backbone_battery import Battery
from diffusers import WanTransformer3DModel
from torch import Tensor

from tora2.backbones.wan import BACKBONE, SCHEDULERS, SHAPES
from tora2.checkpoints.wan_keys import convert_wan, wan_config
from tora2.models.adapter import Tora2Adapter, Tora2Config
from tora2.sampling import sample_latents

DIM, TEXT = 128, 32


def wan(**changes: Any) -> WanTransformer3DModel:
    """A small transformer that the host would load, too."""
    torch.manual_seed(0)
    sizes = {"num_attention_heads": 1, "ffn_dim": 64, "num_layers": 2, "text_dim": TEXT}
    model = WanTransformer3DModel(**{**sizes, **changes}).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    return model


class TestWan(Battery):
    backbone = BACKBONE
    dim, text = DIM, TEXT

    def transformer(self) -> Any:
        return wan()

    def own_forward(self, transformer: Any, x: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        return transformer(x, timestep.expand(len(x)), text, return_dict=False)[0]

    def configured(self, transformer: Any) -> tuple[int, int, int]:
        config = transformer.config
        assert config.patch_size[0] == 1 and config.patch_size[1] == config.patch_size[2]
        return config.patch_size[1], config.out_channels, 4  # the autoencoder's, not in the config


@pytest.mark.parametrize(
    ("shape", "transformer", "adapter"),
    [("Wan2.1-1.3B", 1_418_996_800, 485_401_218), ("Wan2.1-14B", 14_288_491_584, 2_418_638_978)],
)
def test_published_sizes(shape: str, transformer: int, adapter: int) -> None:
    """Counted with two depths and drawn out, as making all the blocks takes seconds."""
    layers = SHAPES[shape]["num_layers"]

    def numbers(depth: int) -> tuple[int, ...]:
        with torch.device("meta"):
            model = WanTransformer3DModel(**{**SHAPES[shape], "num_layers": depth})
            width = model.config.num_attention_heads * model.config.attention_head_dim
            sizes = Tora2Config.preset("5b", dim=width, layers=depth)
            parts = Tora2Adapter(sizes, BACKBONE.grid)
        return tuple(sum(p.numel() for p in part.parameters()) for part in (model, parts))

    counted = zip(numbers(2), numbers(4), strict=True)
    made = [two + (four - two) // 2 * (layers - 2) for two, four in counted]
    assert made == [transformer, adapter]


def test_the_publishers_names_are_read_and_written() -> None:
    state = wan().state_dict()
    theirs = convert_wan(state, "comfy")
    assert {"head.modulation", "blocks.1.cross_attn.o.bias", "time_projection.1.weight"} < set(
        theirs
    )
    again = convert_wan({f"model.diffusion_model.{n}": t for n, t in theirs.items()}, "diffusers")
    assert again.keys() == state.keys() and all(again[n] is t for n, t in state.items())
    assert wan_config(again) == {k: v for k, v in wan().config.items() if k in wan_config(again)}
    with pytest.raises(ValueError, match="img_emb.* is no part of Wan 2.1's text-to-video"):
        convert_wan({**theirs, "img_emb.proj.0.bias": torch.zeros(1)})
    del theirs["blocks.1.ffn.2.bias"]
    with pytest.raises(ValueError, match=r"lacks the tensor blocks.1.ffn.net.2.bias"):
        convert_wan(theirs)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_its_solvers_undo_its_noise(name: str) -> None:
    """With a flow that points at one clip, every solver ends there."""
    scheduler = BACKBONE.make_scheduler(name)
    clean, noise = torch.randn(2, 1, 16, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    scheduler.set_timesteps(8)
    x = noise
    for timestep in scheduler.timesteps:
        share = float(timestep) / 1000
        x = scheduler.step((x - clean) / share, timestep, x, return_dict=False)[0]
    assert torch.allclose(x, clean, atol=2e-2)
    assert float(scheduler.timesteps[0]) > 990


def test_it_samples() -> None:
    model, (x, _, text) = wan(), TestWan().inputs()
    out = sample_latents(model, BACKBONE.make_scheduler("dpm"), x, text, text * 0, steps=2)
    assert out.shape == x.shape and bool(out.isfinite().all())
