"""The injection as a citizen of the host: isolated, undone, windowed, in every sampler."""

from typing import Any

import builders
import pytest
import torch
from test_equality import corrected, error, host_velocity, inputs
from torch import Tensor

from tora2.backbone import predict


@pytest.fixture(scope="module")
def reference() -> Any:
    return builders.transformer()


def sampled(model: Any, seed: int = 0, cfg: float = 4.0, frames: int = 3, batch: int = 1) -> Tensor:
    """Three steps of the host's own KSampler."""
    from comfy.samplers import KSampler

    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(batch, 16, frames, 8, 12, generator=generator)
    positive, negative = torch.randn(2, 1, 226, builders.TEXT, generator=generator)
    sampler = KSampler(model, 3, "cpu", "euler", "simple", model_options=model.model_options)
    return sampler.sample(noise, [[positive, {}]], [[negative, {}]], cfg, torch.zeros_like(noise))


def injected(pack: builders.Pack, model: Any, seed: int = 1, **options: Any) -> Any:
    injection = pack("nodes.host.injection")
    spans = [options.pop(name, injection.Window()) for name in ("motion_span", "appearance_span")]
    bound = builders.bound(pack, builders.adapter(pack, seed), **options)
    return injection.inject(model, bound, *spans)


def test_text_only_is_exactly_the_corrected_model(pack: builders.Pack, reference: Any) -> None:
    model = corrected(pack, reference)
    nothing = injected(pack, model, motion=False, entities=False)
    assert torch.equal(sampled(nothing), sampled(model))


def test_strength_zero_is_exactly_the_corrected_model(pack: builders.Pack, reference: Any) -> None:
    model = corrected(pack, reference)
    span = pack("tora2.scene").Window
    off = injected(pack, model, motion_span=span(0.0), appearance_span=span(0.0))
    assert torch.equal(sampled(off), sampled(model))


def test_a_run_leaves_the_model_as_it_was(pack: builders.Pack, reference: Any) -> None:
    from comfy.model_management import unload_all_models

    model = corrected(pack, reference)
    before = sampled(model)
    patches = dict(model.object_patches)
    weights = {k: v.clone() for k, v in model.model.state_dict().items()}
    patched = injected(pack, model)
    assert error(sampled(patched), before) > 1e-2
    injection = patched.wrappers["apply_model"]["tora2"][0].__self__
    assert injection.current is None and injection._placed is None
    assert torch.equal(sampled(model), before)
    unload_all_models()
    assert model.object_patches == patches and not model.object_patches_backup
    after = model.model.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[k], v) for k, v in weights.items())
    block = model.model.diffusion_model.blocks[0]
    for norm in (block.norm1, block.norm2):
        assert norm.forward.__func__ is type(norm).forward


def test_two_clones_do_not_see_each_other(pack: builders.Pack, reference: Any) -> None:
    model = corrected(pack, reference)
    first, second = injected(pack, model, seed=1), injected(pack, model, seed=11)
    a, b = sampled(first), sampled(second)
    assert error(a, b) > 1e-3
    assert torch.equal(sampled(first), a) and torch.equal(sampled(second), b)


def test_two_on_one_model_add_up(pack: builders.Pack, reference: Any) -> None:
    made = builders.adapter(pack)
    injection = pack("nodes.host.injection")
    model = corrected(pack, reference)
    whole = injection.inject(
        model, builders.bound(pack, made), injection.Window(), injection.Window()
    )
    motion = injection.inject(
        model, builders.bound(pack, made), injection.Window(), injection.Window(0.0)
    )
    both = injection.inject(
        motion, builders.bound(pack, made), injection.Window(0.0), injection.Window()
    )
    assert error(sampled(both), sampled(whole)) < 1e-5
    assert len(both.get_additional_models()) == 2


def test_an_entity_s_strength_has_no_jumps(pack: builders.Pack, reference: Any) -> None:
    """From left out at 0 to as trained at 1, in the host as in the library."""
    model = corrected(pack, reference)

    def at(strength: float) -> Tensor:
        return sampled(injected(pack, model, strengths=(1.0, strength)))

    out, full = at(0.0), at(1.0)
    assert torch.equal(full, sampled(injected(pack, model)))
    assert error(at(1e-6), out) < 1e-4 and error(at(1 - 1e-6), full) < 1e-4
    assert error(at(0.5 + 1e-6), at(0.5)) < 1e-4
    ways = [error(at(strength), out) for strength in (1e-6, 0.1, 0.4, 1.0)]
    assert ways == sorted(ways) and ways[-1] > 1e-2

    latents, context = inputs()
    bound = builders.bound(pack, builders.adapter(pack), strengths=(0.3, 0.6))
    whole = pack("tora2.scene").Window()
    patched = pack("nodes.host.injection").inject(model, bound, whole, whole)
    expected = predict(reference, latents, torch.tensor(300), context, bound.conditioning)
    assert error(host_velocity(patched, latents, 300, context), expected) < 1e-4


@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_a_batch_of_two_is_two_clips(pack: builders.Pack, reference: Any, cfg: float) -> None:
    patched = injected(pack, corrected(pack, reference))
    both = sampled(patched, batch=2, cfg=cfg)
    from comfy.samplers import KSampler

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 16, 3, 8, 12, generator=generator)
    positive, negative = torch.randn(2, 1, 226, builders.TEXT, generator=generator)
    sampler = KSampler(patched, 3, "cpu", "euler", "simple", model_options=patched.model_options)
    for index in range(2):
        alone = sampler.sample(
            noise[index : index + 1],
            [[positive, {}]],
            [[negative, {}]],
            cfg,
            torch.zeros(1, 16, 3, 8, 12),
        )
        assert error(both[index : index + 1], alone) < 1e-5


def test_spans_follow_the_noise_level(pack: builders.Pack, reference: Any) -> None:
    span = pack("tora2.scene").Window
    model = corrected(pack, reference)
    patched = injected(
        pack, model, motion_span=span(1.0, 0.0, 0.5), appearance_span=span(1.0, 0.5, 1.0)
    )
    bound = patched.wrappers["apply_model"]["tora2"][0].__self__.bound
    latents, context = inputs()
    for step, strengths in ((900, (1.0, 0.0)), (100, (0.0, 1.0))):
        expected = predict(
            reference, latents, torch.tensor(step), context, bound.conditioning.scaled(*strengths)
        )
        assert error(host_velocity(patched, latents, step, context), expected) < 1e-4


def test_context_windows_slice_the_motion(pack: builders.Pack, reference: Any) -> None:
    """A window's prediction is that of a clip whose motion features are the window's."""
    from comfy.context_windows import IndexListContextWindow

    patched = injected(pack, corrected(pack, reference), latent=(5, 8, 12))
    injection = patched.wrappers["apply_model"]["tora2"][0].__self__
    window = IndexListContextWindow([2, 3, 4], dim=2, total_frames=5)
    window.causal_anchor_index = 1
    frames = pack("nodes.host.injection").window_frames(window)
    assert frames == [1, 2, 3, 4]
    conditioning = injection.bound.conditioning.window(frames)
    height, width = conditioning.features[0].shape[-2:]
    assert (conditioning.frames, height, width) == (4, 4, 6)
    full = injection.bound.conditioning.features[1].unflatten(0, (-1, 5))
    assert torch.equal(conditioning.features[1].unflatten(0, (-1, 4)), full[:, 1:])


def test_context_windows_in_the_sampler(pack: builders.Pack, reference: Any) -> None:
    """One window as long as the clip changes nothing; shorter ones run and differ."""
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    def windowed(length: int) -> Any:
        return ContextWindowsManualNode.execute(
            patched, length, 1, "standard_static", 1, False, "pyramid", 2, False
        ).result[0]

    patched = injected(pack, corrected(pack, reference), latent=(5, 8, 12))
    whole = sampled(patched, frames=5)
    assert torch.equal(sampled(windowed(5), frames=5), whole)
    assert sampled(windowed(3), frames=5).isfinite().all()
    assert error(sampled(windowed(3), frames=5), whole) > 1e-3


def test_a_compiled_model_gives_the_same(pack: builders.Pack, reference: Any) -> None:
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    patched = injected(pack, corrected(pack, reference))
    expected = sampled(patched)
    keys = [f"diffusion_model.blocks.{layer}" for layer in range(builders.LAYERS)]
    compiled = patched.clone()
    set_torch_compile_wrapper(compiled, backend="eager", keys=keys)
    assert error(sampled(compiled), expected) < 1e-5
    assert error(sampled(compiled, seed=5), sampled(patched, seed=5)) < 1e-5


def test_a_lora_on_the_base_still_acts(pack: builders.Pack, reference: Any) -> None:
    model = corrected(pack, reference)
    patched = injected(pack, model).clone()
    key = "diffusion_model.blocks.1.ff_out.weight"
    change = torch.randn(128, 512, generator=torch.Generator().manual_seed(1)) * 0.05
    patched.add_patches({key: ("diff", (change,))})
    with_lora = builders.transformer()
    with_lora.transformer_blocks[1].ff.net[2].weight.data += change
    latents, context = inputs()
    bound = patched.wrappers["apply_model"]["tora2"][0].__self__.bound
    expected = predict(with_lora, latents, torch.tensor(300), context, bound.conditioning)
    assert error(host_velocity(patched, latents, 300, context), expected) < 1e-4


def test_a_latent_of_another_size_is_refused(pack: builders.Pack, reference: Any) -> None:
    patched = injected(pack, corrected(pack, reference))
    with pytest.raises(ValueError, match="96x64 with 17 frames .* bound at 96x64 with 9 frames"):
        sampled(patched, frames=5)
    assert sampled(patched).isfinite().all()


def test_a_model_of_another_width_is_refused(pack: builders.Pack, reference: Any) -> None:
    from diffusers import CogVideoXTransformer3DModel

    wide = CogVideoXTransformer3DModel(
        num_attention_heads=3,
        num_layers=3,
        time_embed_dim=32,
        text_embed_dim=24,
        use_rotary_positional_embeddings=True,
    )
    with pytest.raises(ValueError, match="small was made for 3 blocks of 128 channels but .* 192"):
        injected(pack, builders.host_model(wide))


def test_a_model_of_another_loader_is_corrected(pack: builders.Pack, reference: Any) -> None:
    theirs = injected(pack, builders.host_model(reference))
    ours = injected(pack, corrected(pack, reference))
    assert torch.equal(sampled(theirs), sampled(ours))


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_models_in_other_types(pack: builders.Pack, reference: Any, dtype: str) -> None:
    """The adapter computes in its own type beside a model of any other."""
    model = builders.host_model(reference, getattr(torch, dtype))
    patched = injected(pack, model)
    plain = pack("nodes.host.corrections").correct(model)
    expected = sampled(injected(pack, corrected(pack, reference)))
    got = sampled(patched)
    assert got.isfinite().all()
    assert error(got, expected) < 0.3 < error(sampled(plain), expected)


def test_an_adapter_loads_whole_or_not_at_all(pack: builders.Pack) -> None:
    from comfy.model_patcher import ModelPatcher

    whole = pack("nodes.host.adapters").manage(builders.adapter(pack))
    plain = ModelPatcher(whole.model, whole.load_device, whole.offload_device)
    little = {"device_to": torch.device("meta"), "lowvram_model_memory": 0.1}
    plain.load(**little)
    assert not any(p.is_meta for p in whole.model.parameters())  # what --novram would do
    whole.load(**little)
    assert all(p.is_meta for p in whole.model.parameters())
    assert whole.partially_unload(torch.device("cpu"), 1e9) == 0
