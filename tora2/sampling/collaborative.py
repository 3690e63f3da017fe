"""Spatial-temporal collaborative sampling with the library's own host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..backbones import backbone_of
from ..conditioning import Tora2Conditioning
from ..customization.applying import AppliedLoras
from ..customization.collaboration import KINDS, Collaboration, Kind, Maps, led, maps_of
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
    solver = Solver(scheduler, steps, noise.device, generator)
    latents = solver.start(noise)
    count = len(solver.timesteps)
    for index, timestep in enumerate(solver.timesteps):
        prediction = predict_collaboratively(
            transformer,
            latents,
            timestep,
            (index, count),
            context,
            loras,
            negative,
            conditioning,
            guider or ClassifierFree(),
            collaboration or Collaboration(),
        )
        latents = solver.step(index, prediction, latents)
        if callback is not None:
            callback(index + 1, count)
    return latents


def predict_collaboratively(
    transformer: Any,
    latents: Tensor,
    timestep: Tensor,
    place: tuple[int, int],
    context: Tensor,
    loras: Mapping[Kind, AppliedLoras],
    negative: Tensor | None,
    conditioning: Tora2Conditioning | None,
    guider: Guider,
    settings: Collaboration,
) -> Tensor:
    """The mixed prediction of one step, [B, C, T, H, W]; the arguments are those of the sampling.

    Args:
        place: number of the step, from 0, and of how many.
    """
    index, count = place
    backbone = backbone_of(transformer)
    for one in loras.values():
        one.at(index / count)

    def see(kind: Kind, x: Tensor) -> Maps:
        def run() -> object:
            x_in = x.to(context.dtype)
            return backbone.predict(transformer, x_in, timestep, context, conditioning)

        blocks = settings.looked_at(len(backbone.blocks(transformer)))
        rows, columns = backbone.grid.tokens(*x.shape[3:])
        keeps = not getattr(transformer, "gradient_checkpointing", False)
        return maps_of(run, blocks, x.shape[2], rows * columns, stop=keeps)

    at: dict[Kind, Tensor] = {"subject": latents, "motion": latents}
    if settings.leads(index):
        at = led(settings, latents, see, lambda kind: loras[kind])
    mixed: Tensor | None = None
    for kind, weight in zip(KINDS, (settings.subject, settings.motion), strict=True):
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
    return mixed
