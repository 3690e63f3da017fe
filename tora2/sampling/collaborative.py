"""Spatial-temporal collaborative sampling with the library's own host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..backbones import backbone_of
from ..conditioning import Tora2Conditioning
from ..customization.applying import AppliedLoras
from ..customization.collaboration import Collaboration, Kind, Maps, led, maps_of
from .guiders import ClassifierFree, Guider
from .loop import run_branches
from .schedules import Solver


@torch.no_grad()
def sample_collaboratively(
    transformer: Any,
    scheduler: Any,
    noise: Tensor,
    context: Tensor,
    loras: Mapping[Kind, AppliedLoras],
    negative: Tensor | None = None,
    conditioning: Tora2Conditioning | None = None,
    steps: int = 50,
    guider: Guider | None = None,
    collaboration: Collaboration | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Denoise with a branch for the subject and one for the motion; see `Collaboration`.

    Args:
        loras: the subject's and the motion's, on this transformer; neither is entered yet.
        guider: of each branch; by default `ClassifierFree()`.
        collaboration: weights, and how the branches lead one another.
        others: as in `sample_latents`.

    Returns:
        [B, C, T, H, W] denoised latents, still scaled.
    """
    guider, settings = guider or ClassifierFree(), collaboration or Collaboration()
    solver = Solver(scheduler, steps, noise.device, generator)
    blocks = settings.looked_at(len(backbone_of(transformer).blocks(transformer)))
    rows, columns = backbone_of(transformer).grid.tokens(*noise.shape[3:])
    places = rows * columns
    latents = solver.start(noise)
    count = len(solver.timesteps)
    for index, timestep in enumerate(solver.timesteps):
        for one in loras.values():
            one.at(index / count)

        def see(kind: Kind, x: Tensor, timestep: Tensor = timestep) -> Maps:
            def run() -> object:
                return backbone_of(transformer).predict(
                    transformer, x.to(context.dtype), timestep, context, conditioning
                )

            keeps = not getattr(transformer, "gradient_checkpointing", False)
            return maps_of(run, blocks, x.shape[2], places, stop=keeps)

        at: dict[Kind, Tensor] = {"subject": latents, "motion": latents}
        if settings.leads(index):
            at = led(settings, latents, see, lambda kind: loras[kind])
        mixed: Tensor | None = None
        for kind, weight in (("subject", settings.subject), ("motion", settings.motion)):
            if weight == 0:
                continue
            branches = guider.branches(context, negative, conditioning)
            with loras[kind]:
                parts = run_branches(transformer, at[kind], timestep, branches)
            prediction = guider.combine(parts, count, float(timestep))
            if weight != 1:
                prediction = weight * prediction
            mixed = prediction if mixed is None else mixed + prediction
        assert mixed is not None
        latents = solver.step(index, mixed, latents)
        if callback is not None:
            callback(index + 1, count)
    return latents
