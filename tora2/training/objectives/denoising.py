"""The error of a video model on noised clips, and the contrastive loss of entities (Eq. 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from ...backbones import backbone_of
from ...conditioning import Tora2Conditioning
from ...losses import contrastive_loss, matching_accuracy, velocity_loss
from ...settings import Within
from ..distributed import World

Weight = Annotated[float, Within(0, 1e6)]
# Of signal to noise, above which a guess's error would be too much of what is to be predicted.
_CLEAREST = 1.5


@dataclass(frozen=True)
class DenoisingSettings:
    """Weights of the losses.

    Attributes:
        region_weight: λ of the loss weight 1 + λ on latent cells that an entity touches.
        timestep_shift: above 1, noisier steps are drawn more often, where words, pictures and paths
            say what noise hides: u of the schedule becomes su / (1 + (s - 1)u).
        own_guesses: share of the batches in which clips that are told whole are noised from what
            the model guesses of them, in place of the clip that it is still to predict. Sampling
            shows it such latents and no others; a model that never saw any takes its own errors for
            what was asked of it and draws them.
        contrastive_weight: λ of Eq. 7; `temperature` τ and `reduction` as in `contrastive_loss`.
    """

    region_weight: Weight = 4.0
    timestep_shift: Annotated[float, Within(0.01, 100)] = 1.0
    own_guesses: Annotated[float, Within(0, 1)] = 0.0
    contrastive_weight: Weight = 0.2
    temperature: Annotated[float, Within(1e-6, 1e6)] = 0.07
    reduction: Literal["mean", "sum"] = "mean"


@dataclass(frozen=True, eq=False)
class Prepared:
    """A batch of clips as the model sees it.

    Attributes:
        latents: [B, C, T, h, w] of the clips, clean and scaled.
        context: [B, L, D] of their captions.
        conditioning: of their entities and tracks; None for none at all.
        region: [B, 1, T, h, w] bool, latent cells that an entity touches, or None.
        image: [B, C, T, h, w] latents that stand beside the noisy ones (a first frame), or None.
        told: [B] bool, clips of which the conditions say all that there is to see; None for none.
            What is left to chance has to come out of the noise, and a guess is a blur of it.
    """

    latents: Tensor
    context: Tensor
    conditioning: Tora2Conditioning | None
    region: Tensor | None = None
    image: Tensor | None = None
    told: Tensor | None = None


class Denoising:
    """The objective of a video model and its adapter.

    Timesteps and noise are drawn for the clips of all processes. Contrastive negatives are those
    of all processes, too.

    Args:
        transformer: of a known backbone.
        prepare: (batch, generator) to what the model sees; it may draw with the generator.
        settings: weights of the losses.
        world: the processes, and where this one computes.
        embedding: channels of the contrastive embeddings.
    """

    def __init__(
        self,
        transformer: Any,
        prepare: Callable[[Any, torch.Generator], Prepared],
        settings: DenoisingSettings,
        world: World,
        embedding: int,
    ) -> None:
        self.transformer, self.prepare, self.settings = transformer, prepare, settings
        self.backbone = backbone_of(transformer)
        self.world, self.embedding = world, embedding

    def __call__(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch: `velocity`, and `contrastive` where entities can be told apart."""
        clips = self.prepare(batch, generator)
        clean = clips.latents.float()
        timestep, noise = self._drawn(clean, generator)
        if self._guesses(generator):
            noise = noise + self._own_error(clips, noise, timestep, generator)
        noisy, target = self.backbone.noised(clean, noise, timestep)
        if self.world.size > 1:
            # Processes gather a frozen block together in the backward pass, which therefore has to
            # reach every block, also where nothing conditions a process's clips.
            noisy.requires_grad_()
        predicted = self._predicted(clips, noisy, timestep)
        weight = None
        if clips.region is not None:
            weight = 1 + self.settings.region_weight * clips.region.float()
        loss = velocity_loss(predicted, target, weight) * self._part_of_weight(weight)
        measures = {"velocity": loss.item()}
        pairs = self._pairs(clips.conditioning, len(clean))
        if pairs is not None:
            p, m, clip = pairs
            settings = self.settings
            contrast = contrastive_loss(p, m, settings.temperature, settings.reduction)
            loss = loss + settings.contrastive_weight * contrast
            measures["contrastive"] = contrast.item()
            measures["matching"] = matching_accuracy(p, m, clip)
        return loss, measures

    def _part_of_weight(self, weight: Tensor | None) -> float:
        """This process's weight over the mean of all: a mean of the processes' is that of clips."""
        if weight is None or self.world.size == 1:
            return 1.0
        mean = weight.mean().item()
        return mean / self.world.mean({"weight": mean})["weight"]

    def _predicted(self, clips: Prepared, noisy: Tensor, timestep: Tensor) -> Tensor:
        if clips.image is not None:
            noisy = torch.cat([noisy, clips.image.to(noisy.dtype)], dim=1)
        return self.backbone.predict(
            self.transformer, noisy, timestep, clips.context, clips.conditioning
        )

    def _guesses(self, generator: torch.Generator) -> bool:
        """Whether this batch is one of the model's own guesses."""
        share = self.settings.own_guesses
        return share > 0 and float(torch.rand((), generator=generator)) < share

    @torch.no_grad()
    def _own_error(
        self, clips: Prepared, noise: Tensor, timestep: Tensor, generator: torch.Generator
    ) -> Tensor:
        """What noise is to have added for `noised` clips to be the noised guess of the model.

        The guess is that at pure noise or, as often, one made on the way from there; from the same
        noise, which DDIM keeps, or as often from other, as solvers have that draw it anew.

        Returns:
            [B, C, T, h, w]; zero for clips that are not told whole, or that are hardly noised.

        Raises:
            ValueError: if the recipe does not say which clips are told whole.
        """
        if clips.told is None:
            raise ValueError(
                f"key 'own_guesses' is {self.settings.own_guesses}, but this recipe does not say "
                "which clips are told whole; expected 0"
            )
        clean = clips.latents.float()
        last = torch.full_like(timestep, self.backbone.timesteps - 1)
        start = noise
        if float(torch.rand((), generator=generator)) < 0.5:
            start = self._noise(clean, generator)
        guess = self._guess(clips, start, last)
        if float(torch.rand((), generator=generator)) < 0.5:
            count = len(timestep) * self.world.size
            way = torch.rand(count, generator=generator)[self.world.mine(count)].to(timestep.device)
            between = (timestep + way * (last - timestep)).long()
            noisy, _ = self.backbone.noised(guess, start, between)
            guess = self._guess(clips, noisy, between)
        signal, amount, _, _ = self._shares(timestep)
        kept = clips.told.view(-1, 1, 1, 1, 1) & (signal <= _CLEAREST * amount)
        return torch.where(kept, signal / amount * (guess - clean), 0.0)

    def _guess(self, clips: Prepared, noisy: Tensor, timestep: Tensor) -> Tensor:
        """The clips that the model sees in noisy latents."""
        signal, amount, of_clean, of_noise = self._shares(timestep)
        predicted = self._predicted(clips, noisy, timestep).float()
        return (amount * predicted - of_noise * noisy) / (amount * of_clean - of_noise * signal)

    def _shares(self, timestep: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Shares [B, 1, 1, 1, 1] of the clip and of noise in noisy latents, and in the target."""
        one = torch.ones(len(timestep), 1, 1, 1, 1, device=timestep.device)
        signal, of_clean = self.backbone.noised(one, 0 * one, timestep)
        amount, of_noise = self.backbone.noised(0 * one, one, timestep)
        return signal, amount, of_clean, of_noise

    def _drawn(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Timesteps [B] and noise like `clean`: this process's share of what is drawn for all."""
        count = len(clean) * self.world.size
        mine = self.world.mine(count)
        steps, shift = self.backbone.timesteps, self.settings.timestep_shift
        u = (torch.randint(steps, (count,), generator=generator)[mine] + 0.5).double() / steps
        timestep = (steps * shift * u / (1 + (shift - 1) * u)).long()
        return timestep.to(clean.device), self._noise(clean, generator)

    def _noise(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        count = len(clean) * self.world.size
        noise = torch.randn((count, *clean.shape[1:]), generator=generator)
        return noise[self.world.mine(count)].to(clean.device)

    def _pairs(
        self, conditioning: Tora2Conditioning | None, clips: int
    ) -> tuple[Tensor, Tensor, Tensor] | None:
        """Contrastive embeddings of all processes and the clip of each; None where there are none.

        A process without any takes part with none of its own, so that all gather alike.
        """
        found = None if conditioning is None else conditioning.pairs
        if self.world.size == 1:
            if found is None or conditioning is None or conditioning.clip is None:
                return None
            return (*found, conditioning.clip)
        device = self.world.device
        if found is None or conditioning is None or conditioning.clip is None:
            both = torch.zeros(0, 2 * self.embedding, device=device, requires_grad=True)
            clip = torch.zeros(0, dtype=torch.int64, device=device)
        else:
            both = torch.cat(found, dim=1).float()
            clip = conditioning.clip + self.world.rank * clips
        both, clip = self.world.gathered(both), self.world.gathered(clip)
        if not len(both):
            return None
        p, m = both.chunk(2, dim=1)
        return p, m, clip
