"""Losses, arms, LoRAs and skips of "Separate Motion from Appearance" and VideoMage.

`separate_motion.json` holds what the first paper's own code gives for the weights and inputs that
`waves` draws here.
"""

import json
import math
from pathlib import Path
from typing import Any

import hostile_loras
import pytest
import small
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tora2.backbone import predict
from tora2.customization import (
    ARMS,
    AppliedLoras,
    Lora,
    LoraInfo,
    appearance_agnostic_target,
    appearance_highway,
    attention_loss,
    debiased,
    debiased_loss,
    lora_targets,
    phased,
    read_lora,
    write_lora,
)
from tora2.customization.highway import RELEASED
from tora2.scene import Window

RECORDED = json.loads((Path(__file__).parents[1] / "fixtures/separate_motion.json").read_text())


def waves(shape: tuple[int, ...], phase: float, scale: float = 1.0) -> Tensor:
    """Numbers in [-scale, scale] that no generator has to reproduce."""
    drawn = (torch.arange(math.prod(shape), dtype=torch.float64) * 12.9898 + phase).sin() * 1000
    return ((drawn - drawn.floor()) * 2 - 1).mul(scale).float().view(shape)


def test_the_debiased_loss_is_the_released_ones() -> None:
    predicted, target = waves((2, 3, 5, 4, 6), 0.1), waves((2, 3, 5, 4, 6), 1.3)
    plain = F.mse_loss(predicted, target)
    for frame, expected in enumerate(RECORDED["debiased"]):
        assert (plain + debiased_loss(predicted, target, frame)).item() == pytest.approx(expected)


def test_debiasing_takes_a_still_picture_away_but_for_its_scale() -> None:
    still = waves((1, 2, 1, 3, 3), 0.4).expand(1, 2, 4, 3, 3)
    assert torch.allclose(debiased(still, 2), (2**0.5 - 1) * still)
    assert torch.equal(debiased(still, 1, beta=0.0), still)


def test_the_appearance_agnostic_target() -> None:
    target, looks = waves((2, 3, 4, 2, 2), 0.1), waves((2, 3, 4, 2, 2), 0.9).requires_grad_()
    assert torch.equal(appearance_agnostic_target(target, looks, 0.0), target)
    made = appearance_agnostic_target(target, looks)
    assert not made.requires_grad and torch.allclose(made - target, 0.5 * (target - looks))
    # affine with weights of sum one: noise and velocity give the same loss
    clean, a, s = waves((2, 3, 4, 2, 2), 2.2), 0.6, 0.8

    def v(noise: Tensor) -> Tensor:
        return a * noise - s * clean

    assert torch.allclose(
        appearance_agnostic_target(v(target), v(looks)),
        v(appearance_agnostic_target(target, looks)),
        atol=1e-6,
    )


def test_attention_loss_is_the_share_outside() -> None:
    attention = torch.tensor([[[1.0, 3.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [9.0, 9.0, 9.0, 9.0]]])
    masks = torch.tensor([[[0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]]).bool()
    assert attention_loss(attention, masks).item() == pytest.approx((0.25 + 0.5) / 2)
    assert attention_loss(attention, masks & False).item() == 0


def test_phased_integration_ends_at_its_timestep() -> None:
    window = phased(0.8)
    assert window.at(0.0) == window.at(0.66) == 0.8 and window.at(0.67) == 0.0
    assert phased(boundary=0).at(0.999) == 1.0
    with pytest.raises(ValueError, match="boundary is 1000, expected a timestep below 1000"):
        phased(boundary=1000)


def test_arms_of_a_transformer_and_of_a_unet() -> None:
    model = small.transformer()
    for arm, layers in ARMS.items():
        blocks = range(small.LAYERS)
        expected = {f"transformer_blocks.{i}.attn1.{layer}" for i in blocks for layer in layers}
        assert set(lora_targets(model, arm)) == expected
    assert sorted(lora_targets(temporal(), "tap_released")) == RECORDED["targets"]
    with pytest.raises(ValueError, match="arm 'values' is unknown, expected one of full, tap"):
        lora_targets(model, "values")
    with pytest.raises(ValueError, match="is a Linear without attention over time"):
        lora_targets(nn.Linear(2, 2), "tap")


def temporal() -> Any:
    from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel

    model = TransformerTemporalModel(
        num_attention_heads=2, attention_head_dim=4, in_channels=8, num_layers=1, norm_num_groups=2
    )
    for index, (_, parameter) in enumerate(sorted(model.named_parameters())):
        parameter.data.copy_(waves(tuple(parameter.shape), index, 0.9))
    return model.eval().requires_grad_(False)


def test_purified_attention_is_the_released_codes() -> None:
    model, x = temporal(), waves((4, 8, 3, 3), 0.5)
    layers = {
        name: (waves((2, 8), 10 + index, 1.5), waves((8, 2), 20 + index, 1.5))
        for index, name in enumerate(sorted(lora_targets(model, "tap_released")))
    }

    def run(chosen: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
        info = LoraInfo("a U-Net", "motion", "tap_released", 2)
        with AppliedLoras(model, [(Lora(info, chosen), Window())]):
            return model(x, num_frames=4).sample.flatten()[:12]

    keys = {name: pair for name, pair in layers.items() if "to_k" in name}
    for name, chosen in (("plain", {}), ("purified", layers), ("purified_keys", keys)):
        assert torch.allclose(run(chosen), torch.tensor(RECORDED[name]), atol=2e-5), name


class Halves(nn.Module):
    """Stands for a resnet that joins a skip to what it is given."""

    def forward(self, joined: Tensor, temb: Any = None) -> Tensor:
        hidden, skip = joined.chunk(2, dim=1)
        return torch.tanh(hidden + 0.5 * skip)


class Same(nn.Module):
    def forward(self, hidden: Tensor, *_: Any, return_dict: Any = None, **__: Any) -> Any:
        return hidden if return_dict is None else (hidden,)


def test_skip_scaling_is_the_released_codes() -> None:
    from diffusers.models.unets.unet_3d_blocks import CrossAttnUpBlock3D

    block = CrossAttnUpBlock3D.__new__(CrossAttnUpBlock3D)
    nn.Module.__init__(block)
    block.resnets = nn.ModuleList([Halves(), Halves()])
    for name in ("temp_convs", "attentions", "temp_attentions"):
        setattr(block, name, nn.ModuleList([Same(), Same()]))
    block.upsamplers, block.gradient_checkpointing, block.resolution_idx = None, False, 1
    unet = nn.Module()
    unet.up_blocks = nn.ModuleList([Same(), block])
    hidden, *skips = (waves((2, 1280, 1, 2), phase) for phase in (0.2, 1.2, 2.2))

    def run(*args: Any, **kwargs: Any) -> Tensor:
        return block(hidden, *args, num_frames=2, **kwargs).flatten()[::256]

    expected = torch.tensor(RECORDED["highway"])
    with appearance_highway(unet, 1.1, RELEASED):
        assert torch.allclose(run(tuple(skips)), expected, atol=1e-6)
        assert torch.allclose(run(res_hidden_states_tuple=tuple(skips)), expected, atol=1e-6)
    off = torch.tensor(RECORDED["highway_off"])
    assert torch.allclose(run(tuple(skips)), off, atol=1e-6) and not torch.allclose(off, expected)


def small_unet(kind: str) -> Any:
    import diffusers

    torch.manual_seed(0)
    blocks = ("3D", "3D") if kind == "UNet3DConditionModel" else ("Motion", "Motion")
    more = {} if kind == "UNet3DConditionModel" else {"motion_num_attention_heads": 2}
    made = getattr(diffusers, kind)(
        block_out_channels=(8, 8),
        norm_num_groups=2,
        layers_per_block=1,
        down_block_types=(f"CrossAttnDownBlock{blocks[0]}", f"DownBlock{blocks[1]}"),
        up_block_types=(f"UpBlock{blocks[0]}", f"CrossAttnUpBlock{blocks[1]}"),
        cross_attention_dim=8,
        **({"attention_head_dim": 4} if not more else {"num_attention_heads": 2}),
        **more,
    )
    return made.eval()


@pytest.mark.parametrize("kind", ["UNet3DConditionModel", "UNetMotionModel"])
def test_the_highway_on_diffusers_unets(kind: str) -> None:
    unet = small_unet(kind)
    with torch.no_grad():
        x, text = torch.randn(1, 4, 3, 8, 8), torch.randn(1, 4, 8)
        if kind == "UNetMotionModel":
            text = text.repeat(3, 1, 1)  # for every frame
        plain = unet(x, 10, text).sample
        with appearance_highway(unet, 1.0):
            assert torch.equal(unet(x, 10, text).sample, plain)
        with appearance_highway(unet):
            assert not torch.allclose(unet(x, 10, text).sample, plain, atol=1e-5)
        assert torch.equal(unet(x, 10, text).sample, plain)
    with pytest.raises(ValueError, match="up-block 2 is not there, expected 0 to 1"):
        with appearance_highway(unet, blocks=[2]):
            pass
    with pytest.raises(ValueError, match="CogVideoXTransformer3DModel, which has no skip branches"):
        with appearance_highway(small.transformer()):
            pass


def random_lora(model: Any, arm: str = "tap", video_only: bool = False, std: float = 0.3) -> Lora:
    generator = torch.Generator().manual_seed(5)
    layers = {
        name: (
            torch.randn(3, model.get_submodule(name).in_features, generator=generator) * std,
            torch.randn(model.get_submodule(name).out_features, 3, generator=generator) * std,
        )
        for name in lora_targets(model, arm)
    }
    return Lora(LoraInfo("a small model", "motion", arm, 3, video_only=video_only), layers)


def sample_inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(1, 16, 3, 8, 8, generator=generator)
    return x, torch.tensor(500), torch.randn(1, 6, small.TEXT, generator=generator)


@torch.no_grad()
def test_applied_loras_are_changed_weights_and_leave_nothing() -> None:
    model, inputs = small.sharpen(small.transformer(), 2.0), sample_inputs()
    lora = random_lora(model, "full")
    plain = predict(model, *inputs)
    with AppliedLoras(model, [(lora, phased(0.7))]) as applied:
        changed = predict(model, *inputs)
        applied.at(0.9)
        assert torch.equal(predict(model, *inputs), plain)
    assert torch.equal(predict(model, *inputs), plain)
    assert not any(module._forward_hooks for module in model.modules())
    for name, (down, up) in lora.layers.items():
        model.get_submodule(name).weight.add_(0.7 * up @ down)
    assert torch.allclose(predict(model, *inputs), changed, atol=1e-5)
    assert not torch.allclose(plain, changed, atol=1e-2)


@torch.no_grad()
def test_video_only_loras_leave_the_keys_of_text() -> None:
    model, inputs = small.transformer(), sample_inputs()
    layer = model.transformer_blocks[0].attn1.to_k
    seen: list[Tensor] = []
    for video_only in (False, True):
        lora = random_lora(model, video_only=video_only)
        with AppliedLoras(model, [(lora, Window())]):
            hook = layer.register_forward_hook(lambda m, i, out: seen.append(out))
            predict(model, *inputs)
            hook.remove()
    hook = layer.register_forward_hook(lambda m, i, out: seen.append(out))
    predict(model, *inputs)
    hook.remove()
    both, video, none = seen
    assert torch.equal(video[:, :6], none[:, :6]) and torch.allclose(video[:, 6:], both[:, 6:])
    assert not torch.allclose(both[:, :6], none[:, :6])


@pytest.mark.parametrize("video_only", [False, True])
def test_a_lora_file_says_what_it_is(tmp_path: Path, video_only: bool) -> None:
    from safetensors.torch import load_file

    lora, path = random_lora(small.transformer(), "full", video_only), tmp_path / "a.safetensors"
    write_lora(lora, path, {"note": "kept"})
    again = read_lora(path)
    assert again.info == lora.info and set(again.layers) == set(lora.layers)
    for name, pair in lora.layers.items():
        assert all(map(torch.equal, again.layers[name], pair))
    names = set(load_file(path))
    plain = "diffusion_model.blocks.0.attn_out.lora_A.weight"
    assert (plain in names) != video_only and (f"video_tokens.{plain}" in names) == video_only


def test_foreign_and_unfitting_loras_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    save_file({"a.lora_A.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match="does not say how it was made, expected a LoRA of"):
        read_lora(path)
    save_file({"a.lora_A.weight": torch.zeros(2, 2)}, path, {"tora2_lora": '{"base": 5}'})
    with pytest.raises(ValueError, match="damaged description: key 'base' is 5"):
        read_lora(path)
    lora = random_lora(small.transformer())
    write_lora(lora, path)
    from tora2.checkpoints.safetensors_file import read_safetensors, write_safetensors

    tensors, metadata = read_safetensors(path)
    tensors.pop(next(name for name in tensors if "lora_B" in name))
    write_safetensors(path, tensors, metadata)
    with pytest.raises(ValueError, match="as no pair of matrices and a scale: it is damaged"):
        read_lora(path)
    with pytest.raises(ValueError, match="made for a small model: its layer .* is 64x64, but"):
        AppliedLoras(small.transformer(num_attention_heads=2), [(lora, Window())])


def test_damaged_loras_are_read_or_refused(tmp_path: Path) -> None:
    path, outcomes = tmp_path / "a.safetensors", set()
    for _, content in hostile_loras.cases(0, 300):
        path.write_bytes(content)
        try:
            lora = read_lora(path)
            assert all(up.shape[1] == down.shape[0] for down, up in lora.layers.values())
            outcomes.add("read")
        except ValueError as error:
            assert len(str(error)) < 1000
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
