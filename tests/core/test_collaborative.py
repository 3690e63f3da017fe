"""Two branches that are mixed, and led by one another's attention."""

from typing import Any

import pytest
import small
import torch
from test_customization import random_lora
from torch import Tensor

from tora2.backbone import predict
from tora2.customization import AppliedLoras, Collaboration, phased
from tora2.customization.attention import cross_attention, temporal_attention
from tora2.customization.collaboration import Kind, Maps, alignment_loss, led, maps_of
from tora2.sampling import (
    ClassifierFree,
    make_scheduler,
    sample_collaboratively,
    sample_latents,
)
from tora2.scene import Window

STEPS = 3


def material() -> tuple[Any, Tensor, Tensor, Tensor, dict[Kind, AppliedLoras]]:
    model = small.sharpen(small.transformer(), 3.0).requires_grad_(False)
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(1, 16, 3, 8, 8, generator=generator)
    context, negative = torch.randn(2, 1, 6, small.TEXT, generator=generator)
    loras: dict[Kind, AppliedLoras] = {
        "subject": AppliedLoras(model, [(random_lora(model, "full"), Window())]),
        "motion": AppliedLoras(model, [(random_lora(model, "tap", std=0.5), phased())]),
    }
    return model, noise, context, negative, loras


def collaborative(settings: Collaboration, **options: Any) -> Tensor:
    model, noise, context, negative, loras = material()
    return sample_collaboratively(
        model,
        make_scheduler("ddim"),
        noise,
        context,
        loras,
        negative,
        steps=STEPS,
        guider=ClassifierFree(3.0),
        collaboration=settings,
        **options,
    )


@pytest.mark.parametrize("kind", ["subject", "motion"])
def test_one_weight_of_one_is_its_branch_bit_for_bit(kind: Kind) -> None:
    model, noise, context, negative, loras = material()
    settings = Collaboration(1, 0) if kind == "subject" else Collaboration(0, 1)
    with loras[kind] as applied:
        alone = sample_latents(
            model,
            make_scheduler("ddim"),
            noise,
            context,
            negative,
            steps=STEPS,
            guider=ClassifierFree(3.0),
            loras=applied,
        )
    assert torch.equal(collaborative(settings), alone)


def test_the_light_mode_mixes_and_leading_changes_it() -> None:
    light = collaborative(Collaboration(steps=0))
    full = collaborative(Collaboration(steps=2))
    assert torch.isfinite(full).all() and not torch.allclose(light, full, atol=1e-4)
    assert not any(collaborative(Collaboration(1, 0)).equal(one) for one in (light, full))


def test_leading_lowers_both_losses_and_respects_its_limit() -> None:
    model, x, context, _, loras = material()

    def see(kind: Kind, x: Tensor) -> Maps:
        return maps_of(lambda: predict(model, x, torch.tensor(800), context), (1,), 3, 16)

    def seen(kind: Kind, x: Tensor) -> Maps:
        with loras[kind]:
            return see(kind, x)

    before = {kind: seen(kind, x) for kind in loras}
    moved = led(Collaboration(limit=0.02), x, see, lambda kind: loras[kind])
    for kind, other in (("subject", "motion"), ("motion", "subject")):
        after = seen(kind, moved[kind])
        was, now = (alignment_loss(kind, maps, before[other]) for maps in (before[kind], after))
        assert now < was
        assert 0 < float((moved[kind] - x).norm() / x.norm()) <= 0.0201
        assert not moved[kind].requires_grad
    recomputed = led_with_recomputation()
    assert all(torch.allclose(recomputed[kind], moved[kind], atol=1e-5) for kind in moved)


def led_with_recomputation() -> dict[Kind, Tensor]:
    """As `see` of the test, with blocks that are computed again for their gradients."""
    model, x, context, _, loras = material()
    model.enable_gradient_checkpointing()

    def see(kind: Kind, x: Tensor) -> Maps:
        return maps_of(
            lambda: predict(model, x, torch.tensor(800), context), (1,), 3, 16, stop=False
        )

    return led(Collaboration(limit=0.02), x, see, lambda kind: loras[kind])


def test_an_interrupt_leaves_nothing_held() -> None:
    def stop(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    model, noise, context, _, loras = material()
    with pytest.raises(KeyboardInterrupt):
        sample_collaboratively(
            model, make_scheduler("ddim"), noise, context, loras, steps=2, callback=stop
        )
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_maps_are_what_attention_is() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 2, 2 + 3 * 4, 8, generator=generator)
    words = cross_attention(q, k, 2)
    weights = (q[:, :, 2:] @ k.transpose(-1, -2) / 8**0.5).softmax(-1)
    assert words.shape == (1, 12, 2) and torch.allclose(words, weights[..., :2].mean(1), atol=1e-6)
    times = temporal_attention(q, k, 2, 3)
    assert times.shape == (1, 4, 3, 3) and torch.allclose(times.sum(-1), torch.ones(1, 4, 3))
    place = [2 + 1 + 4 * t for t in range(3)]  # the second place at the three times
    alone = (q[:, :, place] @ k[:, :, place].transpose(-1, -2) / 8**0.5).softmax(-1).mean(1)
    assert torch.allclose(times[:, 1], alone, atol=1e-6)


def test_memory_is_told_beforehand_and_bounds_what_is_kept() -> None:
    model, x, context, _, _ = material()
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    x = x.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = predict(model, x, torch.tensor(800), context)
    measured = sum(size for pointer, size in kept.items() if pointer not in weights)
    told = Collaboration(blocks=(1,)).memory(2, 6 + 3 * 16, small.DIM, 4)
    assert out.requires_grad and measured < told < 2.5 * measured


def test_weights_blocks_and_models_are_checked() -> None:
    model, x, context, _, _ = material()
    with pytest.raises(ValueError, match="does not attend to text and video together"):
        maps_of(lambda: predict(model, x, torch.tensor(800), context), (0,), 3, 18)
    with pytest.raises(ValueError, match="are 0.7 and 0.7, expected two of 0 to 1 that add up"):
        Collaboration(0.7, 0.7)
    with pytest.raises(ValueError, match="block 2 is not there, expected 0 to 1"):
        Collaboration(blocks=(2,)).looked_at(2)
