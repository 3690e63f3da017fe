"""The denoising loop: exact solutions, guidance, windows, cancelling."""

from typing import Any

import pytest
import small
import torch
from torch import Tensor

import tora2.sampling.loop as loop
from tora2.conditioning import Tora2Conditioning
from tora2.sampling import Branch, ClassifierFree, Dynamic, make_scheduler, sample_latents
from tora2.sampling.guiders import dynamic_guidance
from tora2.scene import Window

SHAPE = (1, 16, small.LATENT_FRAMES, small.SIDE, small.SIDE)


def known_velocity(mean: float, deviation: float) -> object:
    """The exact velocity of data that is Gaussian with this mean and deviation."""
    alphas = make_scheduler("ddim").alphas_cumprod.double()

    def predict(transformer: object, x: torch.Tensor, t: torch.Tensor, *_: object) -> torch.Tensor:
        a = alphas[int(t)]
        variance = a * deviation**2 + (1 - a)
        x0 = mean + a.sqrt() * deviation**2 * (x.double() - a.sqrt() * mean) / variance
        noise = (x.double() - a.sqrt() * x0) / (1 - a).sqrt()
        return (a.sqrt() * noise - (1 - a).sqrt() * x0).float()

    return predict


@pytest.mark.parametrize("name", ["dpm", "ddim"])
def test_schedulers_reach_a_known_gaussian(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "predict", known_velocity(0.7, 0.5))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 16, 8, 16, 16, generator=generator)
    text = torch.zeros(1, 1, 1)
    out = sample_latents(None, make_scheduler(name), noise, text, steps=100, generator=generator)
    assert float(out.mean()) == pytest.approx(0.7, abs=0.02)
    assert float(out.std()) == pytest.approx(0.5, abs=0.04)


def test_the_schedule_is_cogvideox_s() -> None:
    scheduler = make_scheduler("dpm")
    scheduler.set_timesteps(50)
    assert scheduler.timesteps[:3].tolist() == [999, 979, 959]
    assert scheduler.timesteps[-1].item() == 19
    assert scheduler.alphas_cumprod[999] == 0
    with pytest.raises(ValueError, match="scheduler 'euler'"):
        make_scheduler("euler")


def run(conditioning: Tora2Conditioning | None = None, **options: object) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(SHAPE, generator=generator)
    text = torch.randn(1, 6, small.TEXT, generator=generator)
    negative = torch.randn(1, 6, small.TEXT, generator=generator)
    settings = {"steps": 4, "guider": ClassifierFree(2.0), **options}
    scheduler = make_scheduler(str(settings.pop("scheduler", "ddim")))
    return sample_latents(
        MODEL, scheduler, noise, text, negative, conditioning, generator=generator, **settings
    )


MODEL = small.transformer()
ADAPTER = small.adapter()


def conditions() -> Tora2Conditioning:
    return Tora2Conditioning.build(
        ADAPTER, small.motion_latent(), [small.entity()], small.tracks([0])
    )


def test_a_seed_gives_the_same_latents_and_another_scheduler_others() -> None:
    assert torch.equal(run(scheduler="dpm"), run(scheduler="dpm"))
    assert not torch.equal(run(scheduler="dpm"), run(scheduler="ddim"))


def test_guidance_one_does_not_run_the_negative_half(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    true_predict = loop.predict

    def counting(transformer: object, x: torch.Tensor, *rest: object) -> torch.Tensor:
        batches.append(len(x))
        return true_predict(transformer, x, *rest)

    monkeypatch.setattr(loop, "predict", counting)
    run(guider=ClassifierFree(1.0))
    run(guider=ClassifierFree(3.0))
    run(guider=Dynamic(1.0))
    assert batches == [1] * 4 + [2] * 4 + [2] * 4


class Apart:
    """Motion and appearance at scales of their own: four runs, of which two share conditions."""

    def branches(self, context: Tensor, negative: Tensor | None, conditioning: Any) -> list[Branch]:
        nothing, moved = conditioning.scaled(0, 0), conditioning.scaled(1, 0)
        return [
            Branch(negative, nothing),
            Branch(context, nothing),
            Branch(context, moved),
            Branch(context, conditioning),
        ]

    def combine(self, predictions: list[Tensor], steps: int, timestep: float) -> Tensor:
        empty, text, moved, full = predictions
        return empty + 2 * (text - empty) + 3 * (moved - text) + 5 * (full - moved)


def test_a_guider_may_run_branches_of_different_conditions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = []
    true_predict = loop.predict

    def counting(transformer: object, x: Tensor, *rest: Any) -> Tensor:
        batches.append((len(x), rest[2].motion_strength, rest[2].appearance_strength))
        return true_predict(transformer, x, *rest)

    monkeypatch.setattr(loop, "predict", counting)
    given = conditions()
    got = run(given, steps=1, guider=Apart())
    assert batches == [(2, 0, 0), (1, 1, 0), (1, 1, 1)]

    # One step of DDIM is linear in the prediction, so the scales act on the latents themselves.
    def alone(scale: float, motion: float, appearance: float) -> Tensor:
        active = given.scaled(motion, appearance)
        return run(active, steps=1, guider=ClassifierFree(scale))

    empty, text, moved, full = (alone(*x) for x in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)))
    expected = empty + 2 * (text - empty) + 3 * (moved - text) + 5 * (full - moved)
    assert torch.allclose(got, expected, atol=1e-4)


def test_guidance_is_the_formula_to_the_last_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    without, with_text = torch.randn(2, *SHAPE, generator=generator)
    guided = ClassifierFree(6.0).combine([without, with_text], 50, 999.0)
    assert torch.equal(guided, without + 6.0 * (with_text - without))
    dynamic = Dynamic(6.0).combine([without, with_text], 50, 979.0)
    scale = dynamic_guidance(6.0, 50, 979.0)
    assert torch.equal(dynamic, without + scale * (with_text - without))


def test_windows_switch_conditions_off_outside() -> None:
    plain, full = run(), run(conditions())
    assert not torch.equal(plain, full)
    off = Window(strength=0.0)
    assert torch.equal(run(conditions(), motion=off, appearance=off), plain)
    never = Window(1.0, 0.9, 1.0)  # four steps lie at 0, 1/4, 1/2, 3/4
    assert torch.equal(run(conditions(), motion=never, appearance=never), plain)
    first = Window(1.0, 0.0, 0.1)
    part = run(conditions(), motion=first, appearance=first)
    assert not torch.equal(part, plain) and not torch.equal(part, full)


def test_the_callback_counts_and_may_cancel() -> None:
    seen: list[tuple[int, int]] = []
    run(callback=lambda step, steps: seen.append((step, steps)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    class Cancelled(Exception):
        pass

    def cancel(step: int, steps: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run(callback=cancel)


def test_image_latents_are_concatenated_for_image_to_video() -> None:
    model = small.transformer(in_channels=32)
    noise, image = torch.randn(SHAPE), torch.randn(SHAPE)
    text = torch.randn(1, 6, small.TEXT)
    scheduler = make_scheduler("ddim")
    a = sample_latents(model, scheduler, noise, text, steps=2, image_latents=image)
    b = sample_latents(model, scheduler, noise, text, steps=2, image_latents=-image)
    assert a.shape == SHAPE and not torch.equal(a, b)


def test_a_cogvideox_1_5_transformer_is_refused() -> None:
    from tora2.backbone import predict

    model = small.transformer(patch_size_t=2)
    with pytest.raises(ValueError, match="CogVideoX-1.5"):
        predict(model, torch.zeros(SHAPE), torch.tensor(1), torch.zeros(1, 6, small.TEXT))
    with pytest.raises(ValueError, match="multiples of 2"):
        odd = torch.zeros(1, 16, 3, 7, 8)
        predict(MODEL, odd, torch.tensor(1), torch.zeros(1, 6, small.TEXT))


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    from tora2.backbone import predict

    grads = []
    for on in (False, True):
        model, adapter = small.transformer(), small.adapter()
        model.requires_grad_(False)
        model.gradient_checkpointing = on
        built = Tora2Conditioning.build(
            adapter, small.motion_latent(), [small.entity()], small.tracks([0])
        )
        x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        text = torch.ones(1, 6, small.TEXT)
        predict(model, x, torch.tensor(10), text, built).square().mean().backward()
        grads.append({n: p.grad for n, p in adapter.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys() and len(grads[0]) > 20
    for name in grads[0]:
        assert torch.allclose(grads[0][name], grads[1][name], atol=1e-6), name
