"""Velocity error on noised clips, and the contrastive loss on their entities (Eq. 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from ...conditioning import Tora2Conditioning
from ...data.clips import ClipBatch
from ...losses import contrastive_loss, matching_accuracy, velocity_loss
from ...settings import Within

Weight = Annotated[float, Within(0, 1e6)]


@dataclass(frozen=True)
class DenoisingSettings:
    """Weights of the losses.

    Attributes:
        region_weight: λ of the loss weight 1 + λ on latent cells that an entity touches.
        contrastive_weight: λ of Eq. 7; `temperature` τ and `reduction` as in `contrastive_loss`.
    """

    region_weight: Weight = 4.0
    contrastive_weight: Weight = 0.2
    temperature: Annotated[float, Within(1e-6, 1e6)] = 0.07
    reduction: Literal["mean", "sum"] = "mean"


class Denoising:
    """The objective of a video model and its adapter.

    Args:
        predict: (noisy latents, timestep [B], context, conditioning) to the model's output.
        noised: (latents, noise, timestep [B]) to noisy latents and the output that is wanted.
        timesteps: length of the noise schedule.
        condition: a batch to its text context and conditioning.
        settings: weights of the losses.
        device: to compute on.
    """

    def __init__(
        self,
        predict: Callable[[Tensor, Tensor, Tensor, Tora2Conditioning], Tensor],
        noised: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
        timesteps: int,
        condition: Callable[[ClipBatch], tuple[Tensor, Tora2Conditioning]],
        settings: DenoisingSettings,
        device: torch.device,
    ) -> None:
        self.predict, self.noised, self.condition = predict, noised, condition
        self.timesteps, self.settings, self.device = timesteps, settings, device

    def __call__(
        self, batch: ClipBatch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch: `velocity`, and `contrastive` where entities can be told apart."""
        settings = self.settings
        clips = batch.to(self.device)
        context, conditioning = self.condition(clips)
        clean = clips.latents.float()
        timestep = torch.randint(self.timesteps, (len(clips),), generator=generator)
        timestep = timestep.to(self.device)
        noise = torch.randn(clean.shape, generator=generator).to(self.device)
        noisy, target = self.noised(clean, noise, timestep)
        predicted = self.predict(noisy, timestep, context, conditioning)
        weight = 1 + settings.region_weight * clips.region.float()
        loss = velocity_loss(predicted, target, weight)
        measures = {"velocity": loss.item()}
        if conditioning.pairs is not None and conditioning.clip is not None:
            p, m = conditioning.pairs
            contrast = contrastive_loss(p, m, settings.temperature, settings.reduction)
            loss = loss + settings.contrastive_weight * contrast
            measures["contrastive"] = contrast.item()
            measures["matching"] = matching_accuracy(p, m, conditioning.clip)
        return loss, measures


def velocity_noise(
    alphas: Tensor,
) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """`Denoising`'s `noised` of a model that predicts v.

    Args:
        alphas: [S] cumulated alphas of its schedule.
    """

    def noised(clean: Tensor, noise: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        alpha = alphas[timestep].view(-1, 1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        return noisy, alpha.sqrt() * noise - (1 - alpha).sqrt() * clean

    return noised
