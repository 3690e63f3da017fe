"""The denoising loop: condition windows, a guider's branches, a solver's steps."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from ..backbone import predict
from ..conditioning import Tora2Conditioning
from ..customization.applying import AppliedLoras
from ..scene import Window
from .guiders import Branch, ClassifierFree, Guider
from .schedules import Solver


@torch.no_grad()
def sample_latents(
    transformer: Any,
    scheduler: Any,
    noise: Tensor,
    context: Tensor,
    negative: Tensor | None = None,
    conditioning: Tora2Conditioning | None = None,
    steps: int = 50,
    guider: Guider | None = None,
    motion: Window | None = None,
    appearance: Window | None = None,
    image_latents: Tensor | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[int, int], None] | None = None,
    loras: AppliedLoras | None = None,
) -> Tensor:
    """Denoise from pure noise.

    Args:
        transformer: of a known backbone.
        scheduler: from `make_scheduler`, or a diffusers CogVideoX one.
        noise: [B, C, T, H, W] unit Gaussian.
        context: [B, L, D] text of the prompts; `negative`: of the negative prompts, for guidance.
        conditioning: of the B clips.
        steps: denoising steps.
        guider: decides the runs of each step; by default `ClassifierFree()`.
        motion, appearance: strength and window of the two conditions.
        image_latents: [B, C, T, H, W] for image-to-video models, concatenated along channels.
        generator: of the noise that the DPM scheduler adds at every step.
        callback: called with (step, steps) after every step; may raise to cancel.
        loras: that act on the transformer, whose strengths follow the schedule.

    Returns:
        [B, C, T, H, W] denoised latents, still scaled.
    """
    guider = guider or ClassifierFree()
    motion, appearance = motion or Window(), appearance or Window()
    solver = Solver(scheduler, steps, noise.device, generator)
    latents = solver.start(noise)
    count = len(solver.timesteps)
    for index, timestep in enumerate(solver.timesteps):
        progress = index / count
        active = conditioning
        if active is not None:
            active = active.scaled(motion.at(progress), appearance.at(progress))
        if loras is not None:
            loras.at(progress)
        x = latents if image_latents is None else torch.cat([latents, image_latents], dim=1)
        branches = guider.branches(context, negative, active)
        predictions = run_branches(transformer, x, timestep, branches)
        prediction = guider.combine(predictions, count, float(timestep))
        latents = solver.step(index, prediction, latents)
        if callback is not None:
            callback(index + 1, count)
    return latents


def run_branches(
    transformer: Any, x: Tensor, timestep: Tensor, branches: Sequence[Branch]
) -> list[Tensor]:
    """Each branch's prediction in float32; those that share a conditioning run as one batch."""
    predictions: list[Tensor] = []
    for _, group in groupby(branches, key=lambda branch: id(branch.conditioning)):
        together = list(group)
        alone = len(together) == 1
        text = together[0].context if alone else torch.cat([one.context for one in together])
        latents = x if alone else torch.cat([x] * len(together))
        active = together[0].conditioning
        out = predict(transformer, latents.to(text.dtype), timestep, text, active).float()
        predictions.extend(out.chunk(len(together)))
    return predictions
