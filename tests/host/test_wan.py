"""The host's own Wan with Tora2's two calls: the library's numbers, and a citizen of the host."""

from pathlib import Path
from typing import Any

import builders
import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file
from test_equality import error
from torch import Tensor

from tora2.backbone import predict
from tora2.checkpoints.wan_keys import convert_wan

TEXT, LAYERS = 4096, 3  # the host takes this width of text for granted


@pytest.fixture(scope="module")
def reference() -> WanTransformer3DModel:
    torch.manual_seed(0)
    model = WanTransformer3DModel(num_attention_heads=1, ffn_dim=64, num_layers=LAYERS).eval()
    for name, parameter in model.named_parameters():
        parameter.data.mul_(3.0 if "norm_" in name else 1.0)  # for positions to matter
        parameter.data.add_(torch.randn_like(parameter), alpha=0.02)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def checkpoint(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wan") / "wan_tiny.safetensors"
    save_file({n: t.clone() for n, t in convert_wan(reference.state_dict(), "comfy").items()}, path)
    return path


def loaded(checkpoint: Path, dtype: torch.dtype = torch.float32) -> Any:
    """As the host's own loader has it."""
    import comfy.sd

    model = comfy.sd.load_diffusion_model(str(checkpoint), model_options={"dtype": dtype})
    assert type(model.model).__name__ == "WAN21"
    return model


def injected(pack: builders.Pack, model: Any, seed: int = 1, **options: Any) -> Any:
    injection = pack("nodes.host.injection")
    spans = [options.pop(name, injection.Window()) for name in ("motion_span", "appearance_span")]
    made = builders.adapter(pack, seed, **options.pop("changes", {}))
    bound = builders.bound(pack, made, **options)
    return injection.inject(model, bound, *spans)


def inputs(frames: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    latents = torch.randn(2, 16, frames, 8, 12, generator=generator)
    return latents, torch.randn(2, 12, TEXT, generator=generator)


def host_flow(model: Any, latents: Tensor, step: int, context: Tensor) -> tuple[Tensor, Tensor]:
    """The raw output in the host, through apply_model with every patch, and its timestep."""
    from comfy.model_management import load_models_gpu

    load_models_gpu([model, *model.get_nested_additional_models()])
    model.pre_run()
    options = {"wrappers": model.wrappers, "callbacks": model.callbacks}
    sampling = model.get_model_object("model_sampling")
    sigma = sampling.sigmas[step].expand(len(latents))
    try:
        denoised = model.model.apply_model(
            latents, sigma, c_crossattn=context, transformer_options=options
        )
    finally:
        model.cleanup()
    return (latents - denoised) / sigma[0], sampling.timestep(sigma)


def sampled(model: Any, frames: int = 3, name: str = "euler", cfg: float = 4.0) -> Tensor:
    from comfy.samplers import KSampler

    noise, context = inputs(frames)
    sampler = KSampler(model, 3, "cpu", name, "simple", model_options=model.model_options)
    positive, negative = context.split(1)
    empty = torch.zeros_like(noise[:1])
    return sampler.sample(noise[:1], [[positive, {}]], [[negative, {}]], cfg, empty)


@pytest.mark.parametrize(
    ("motion", "entities", "order"),
    [
        (True, True, "motion_first"),
        (True, True, "personalization_first"),
        (True, False, "motion_first"),
        (False, True, "motion_first"),
        (False, False, "motion_first"),
    ],
)
def test_conditions_give_the_library_s_prediction(
    pack: builders.Pack, reference: Any, checkpoint: Path, motion: bool, entities: bool, order: str
) -> None:
    model = loaded(checkpoint)
    patched = injected(pack, model, motion=motion, entities=entities, changes={"order": order})
    latents, context = inputs()
    got, timestep = host_flow(patched, latents, 300, context)
    conditioning = patched.wrappers["apply_model"]["tora2"][0].__self__.bound.conditioning
    assert error(got, predict(reference, latents, timestep, context, conditioning)) < 1e-4
    plain, _ = host_flow(model, latents, 300, context)
    assert torch.equal(got, plain) is not (motion or entities)
    assert error(got, plain) > 1e-2 or not (motion or entities)


def test_strength_zero_is_exactly_the_model(pack: builders.Pack, checkpoint: Path) -> None:
    model, off = loaded(checkpoint), pack("tora2.scene").Window(0.0)
    before = sampled(model)
    assert torch.equal(sampled(injected(pack, model, motion_span=off, appearance_span=off)), before)
    assert error(sampled(injected(pack, model)), before) > 1e-2
    assert torch.equal(sampled(model), before), "a run leaves the model as it was"
    block = model.model.diffusion_model.blocks[0]
    assert all(
        part.forward.__func__ is type(part).forward
        for part in (block.norm1, block.self_attn, block.norm2)
    )


@pytest.mark.parametrize("name", ["uni_pc", "dpmpp_2m", "res_multistep"])
def test_the_host_s_samplers(pack: builders.Pack, checkpoint: Path, name: str) -> None:
    model = loaded(checkpoint)
    got = sampled(injected(pack, model), name=name)
    assert got.isfinite().all() and error(got, sampled(model, name=name)) > 1e-2


def test_a_lora_on_the_base_still_acts(
    pack: builders.Pack, reference: Any, checkpoint: Path
) -> None:
    """Read by the host's own loader under the names that Wan's LoRAs have."""
    import comfy.sd

    generator = torch.Generator().manual_seed(1)
    up, down = torch.randn(2, 128, 4, generator=generator) * 0.3
    name = "diffusion_model.blocks.1.self_attn.o"
    lora = {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down.T.contiguous()}
    patched, _ = comfy.sd.load_lora_for_models(
        injected(pack, loaded(checkpoint)), None, lora, 1.0, 0.0
    )
    latents, context = inputs()
    got, timestep = host_flow(patched, latents, 300, context)
    weight = reference.blocks[1].attn1.to_out[0].weight
    conditioning = patched.wrappers["apply_model"]["tora2"][0].__self__.bound.conditioning
    without = predict(reference, latents, timestep, context, conditioning)
    kept = weight.data.clone()
    weight.data += up @ down.T
    expected = predict(reference, latents, timestep, context, conditioning)
    weight.data.copy_(kept)
    assert error(got, expected) < 1e-4 < 1e-2 < error(without, expected)


def test_context_windows(pack: builders.Pack, checkpoint: Path) -> None:
    """One window as long as the clip changes nothing; shorter ones run and differ."""
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    def windowed(length: int) -> Any:
        return ContextWindowsManualNode.execute(
            patched, length, 1, "standard_static", 1, False, "pyramid", 2, False
        ).result[0]

    patched = injected(pack, loaded(checkpoint), latent=(5, 8, 12))
    whole = sampled(patched, frames=5)
    assert torch.equal(sampled(windowed(5), frames=5), whole)
    assert error(sampled(windowed(3), frames=5), whole) > 1e-3


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_models_in_other_types(pack: builders.Pack, checkpoint: Path, dtype: str) -> None:
    model = loaded(checkpoint, getattr(torch, dtype))
    got, expected = sampled(injected(pack, model)), sampled(injected(pack, loaded(checkpoint)))
    assert got.isfinite().all()
    assert error(got, expected) < 0.5 * error(sampled(model), expected)


def test_what_does_not_fit_is_refused(pack: builders.Pack, checkpoint: Path) -> None:
    model = loaded(checkpoint)
    with pytest.raises(ValueError, match="96x64 with 17 frames .* bound at 96x64 with 9 frames"):
        sampled(injected(pack, model), frames=5)
    with pytest.raises(ValueError, match="for 2 blocks of 128 channels but the model has 3"):
        injected(pack, model, changes={"layers": 2})
