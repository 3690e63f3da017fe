"""The host's MODEL gives what tora2.backbone gives: same weights, noise and conditions."""

from typing import Any

import builders
import pytest
import torch
from torch import Tensor

from tora2.backbone import predict


def host_velocity(
    model: Any, latents: Tensor, step: int, context: Tensor, cond: Tensor | None = None
) -> Tensor:
    """The transformer's raw output in the host, through apply_model and every patch and wrapper."""
    from comfy.model_management import load_models_gpu

    load_models_gpu([model, *model.get_nested_additional_models()])
    model.pre_run()
    options = {"wrappers": model.wrappers, "callbacks": model.callbacks}
    sigma = model.get_model_object("model_sampling").sigmas[step]
    scale = (1 + sigma**2) ** 0.5
    noisy = latents * scale  # the k-samplers' scaling, which calculate_input takes back
    sigmas = sigma.expand(len(latents))
    try:
        denoised = model.model.apply_model(
            noisy, sigmas, c_concat=cond, c_crossattn=context, transformer_options=options
        )
    finally:
        model.cleanup()
    return (noisy / (1 + sigma**2) - denoised) * scale / sigma


def error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def inputs(latent: tuple[int, int, int] = (3, 8, 12), batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return (
        torch.randn(batch, 16, *latent, generator=generator),
        torch.randn(batch, 226, builders.TEXT, generator=generator),
    )


def corrected(pack: builders.Pack, reference: Any) -> Any:
    return pack("nodes.host.corrections").correct(builders.host_model(reference))


@pytest.mark.parametrize("motion", [True, False])
@pytest.mark.parametrize("entities", [True, False])
@pytest.mark.parametrize("order", ["motion_first", "personalization_first"])
def test_conditions_give_the_library_s_prediction(
    pack: builders.Pack, motion: bool, entities: bool, order: str
) -> None:
    reference = builders.transformer()
    made = builders.adapter(pack, order=order)
    bound = builders.bound(pack, made, motion=motion, entities=entities)
    injection = pack("nodes.host.injection")
    model = injection.inject(
        corrected(pack, reference), bound, injection.Window(0.7), injection.Window(0.9)
    )
    latents, context = inputs()
    conditioning = bound.conditioning.scaled(0.7, 0.9)
    expected = predict(reference, latents, torch.tensor(499), context, conditioning)
    plain = predict(reference, latents, torch.tensor(499), context)
    assert error(host_velocity(model, latents, 499, context), expected) < 1e-4
    if motion or entities:
        assert error(plain, expected) > 1e-2
    else:
        assert torch.equal(plain, expected)


@pytest.mark.parametrize("latent", [(3, 8, 12), (5, 12, 12), (1, 60, 8), (2, 10, 6)])
def test_plain_model_at_several_sizes(pack: builders.Pack, latent: tuple[int, int, int]) -> None:
    reference = builders.transformer(strength=6.0)
    latents, context = inputs(latent, batch=1)
    expected = predict(reference, latents, torch.tensor(999), context)
    assert error(host_velocity(corrected(pack, reference), latents, 999, context), expected) < 1e-4
