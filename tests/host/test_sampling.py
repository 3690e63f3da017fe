"""Host samplers against diffusers' CogVideoX schedulers, on shared noise and the same weights."""

from typing import Any

import builders
import pytest
import torch
from test_equality import corrected, error
from torch import Tensor

from tora2.backbone import predict
from tora2.sampling import make_scheduler

STEPS, GUIDANCE = 50, 6.0  # the paper's


def material() -> tuple[Any, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 16, 2, 4, 6, generator=generator)
    positive, negative = torch.randn(2, 1, 226, builders.TEXT, generator=generator)
    return builders.transformer(), noise, positive, negative


def guided(reference: Any, x: Tensor, t: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    both = predict(reference, torch.cat([x, x]), t, torch.cat([negative, positive]))
    without, with_text = both.chunk(2)
    return without + GUIDANCE * (with_text - without)


def test_euler_is_ddim(pack: builders.Pack) -> None:
    from comfy.samplers import KSampler

    reference, noise, positive, negative = material()
    scheduler = make_scheduler("ddim")
    scheduler.set_timesteps(STEPS)
    x = noise.clone()
    for t in scheduler.timesteps:
        v = guided(reference, x, t, positive, negative)
        x = scheduler.step(v, t, x, return_dict=False)[0]
    model = corrected(pack, reference)
    sampler = KSampler(model, STEPS, "cpu", "euler", "simple")
    got = sampler.sample(
        noise, [[positive, {}]], [[negative, {}]], GUIDANCE, torch.zeros_like(noise)
    )
    assert error(model.model.process_latent_in(got), x) < 1e-3
    del model.object_patches["model_sampling"]
    wrong = KSampler(model, STEPS, "cpu", "euler", "simple").sample(
        noise, [[positive, {}]], [[negative, {}]], GUIDANCE, torch.zeros_like(noise)
    )
    assert error(model.model.process_latent_in(wrong), x) > 1e-2


def step_noise(step: int, shape: torch.Size) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(100 + step))


def test_tora2_sampler_is_cogvideox_dpm(
    pack: builders.Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers.schedulers import scheduling_dpm_cogvideox

    reference, noise, positive, negative = material()
    scheduler = make_scheduler("dpm")
    scheduler.set_timesteps(STEPS)
    x, old = noise.clone(), None
    for i, t in enumerate(scheduler.timesteps):
        now = step_noise(i, noise.shape)
        monkeypatch.setattr(scheduling_dpm_cogvideox, "randn_tensor", lambda *_, n=now, **__: n)
        v = guided(reference, x, t, positive, negative)
        back = scheduler.timesteps[i - 1] if i else None
        x, old = scheduler.step(v, old, t, back, x, return_dict=False)
    model = corrected(pack, reference)
    module = pack("nodes.host.sampling")
    monkeypatch.setattr(module.comfy.sample, "prepare_noise", lambda *_: noise.clone())
    steps = iter(range(STEPS))
    made = module.sample(
        model,
        {"samples": torch.zeros_like(noise)},
        [[positive, {}]],
        [[negative, {}]],
        steps=STEPS,
        guidance=GUIDANCE,
        mode="constant",
        seed=0,
        noise_sampler=lambda *_: step_noise(next(steps), noise.shape),
    )
    assert error(model.model.process_latent_in(made["samples"]), x) < 1e-3


@pytest.mark.parametrize("mode", ["dynamic", "dynamic (upstream)"])
def test_dynamic_guidance_reaches_the_guider(pack: builders.Pack, mode: str) -> None:
    module, guidance = pack("nodes.host.sampling"), pack("tora2.sampling.guiders")
    reference, noise, positive, negative = material()
    seen = []

    class Recorder(module.ScheduledGuider):
        def predict_noise(self, *args: Any, **options: Any) -> Tensor:
            out = super().predict_noise(*args, **options)
            seen.append(self.cfg)
            return out

    original, module.ScheduledGuider = module.ScheduledGuider, Recorder
    try:
        module.sample(
            corrected(pack, reference),
            {"samples": torch.zeros_like(noise)},
            [[positive, {}]],
            [[negative, {}]],
            steps=5,
            guidance=6.0,
            mode=mode,
            seed=3,
        )
    finally:
        module.ScheduledGuider = original
    upstream = mode.endswith("(upstream)")
    expected = [guidance.dynamic_guidance(6.0, 5, t, upstream) for t in (999, 799, 599, 399, 199)]
    assert seen == pytest.approx(expected)


def test_without_a_negative_the_model_runs_once_a_step(pack: builders.Pack) -> None:
    module = pack("nodes.host.sampling")
    reference, noise, positive, _ = material()
    model = corrected(pack, reference)
    batches = []
    model.model_options["model_function_wrapper"] = lambda apply, given: (
        batches.append(len(given["input"])),
        apply(given["input"], given["timestep"], **given["c"]),
    )[1]
    made = module.sample(
        model,
        {"samples": torch.zeros_like(noise), "downscale_ratio_spacial": 8},
        [[positive, {}]],
        None,
        steps=3,
        guidance=6.0,
        mode="constant",
        seed=0,
    )
    assert batches == [1, 1, 1] and set(made) == {"samples"}
