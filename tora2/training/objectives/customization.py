"""The errors that a motion LoRA and a subject LoRA are trained to make small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...backbones import backbone_of
from ...customization.attention import SeenAttention, cross_attention
from ...customization.objectives import (
    appearance_agnostic_target,
    attention_loss,
    debiased_loss,
)
from ...losses import velocity_loss
from ..validation import first_frame

Noised = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class CustomizationSettings:
    """Weights of the losses; see `MotionLora` and `SubjectLora`."""

    debiased: float = 1.0
    omega: float = 0.0
    regularization: float = 0.25
    attention: float = 0.6


class CustomizationLoss:
    """The losses of both LoRAs on noised clips and pictures.

    Args:
        transformer: of a known backbone.
        settings: weights of the losses.
        base: a context in which the transformer is the base model.
    """

    def __init__(
        self,
        transformer: Any,
        settings: CustomizationSettings,
        base: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.transformer, self.settings, self.base = transformer, settings, base
        self.backbone = backbone_of(transformer)

    def motion(self, clips: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Of clips that show a motion: the plain error, and the debiased one beside it."""
        noisy, timestep, target = self._noised(clips.latents, generator)
        if self.settings.omega:
            with torch.no_grad(), self.base():
                looks = self._predict(noisy, timestep, clips.appearance)
            target = appearance_agnostic_target(target, looks.float(), self.settings.omega)
        predicted = self._predict(noisy, timestep, clips.context)
        plain = loss = velocity_loss(predicted, target)
        measures = {"velocity": plain.item()}
        frame = int(torch.randint(target.shape[2], (), generator=generator))
        if self.settings.debiased:
            debiased = debiased_loss(predicted, target, frame)
            loss = loss + self.settings.debiased * debiased
            measures["debiased"] = debiased.item()
        return loss, measures

    def subject(
        self, pictures: Any, regularizing: Any, composed: Any, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Of pictures of subjects, with clips of anything else and composed pictures if any."""
        loss = self._error(pictures, generator)
        measures = {"velocity": loss.item()}
        if regularizing is not None:
            kept = self._error(regularizing, generator)
            loss = loss + self.settings.regularization * kept
            measures["regularizing"] = kept.item()
        if composed is not None:
            error, attention = self._attended(composed, generator)
            loss = loss + error + self.settings.attention * attention
            measures |= {"composed": error.item(), "attention": attention.item()}
        return loss, measures

    def _error(self, clips: Any, generator: torch.Generator) -> Tensor:
        noisy, timestep, target = self._noised(clips.latents, generator)
        return velocity_loss(self._predict(noisy, timestep, clips.context), target)

    def _attended(self, composed: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The plain error, and that of where the words of each subject are looked for."""
        noisy, timestep, target = self._noised(composed.latents, generator)
        text = composed.context.shape[1]
        seen: list[tuple[Tensor, Tensor]] = []

        def keep(_: int, queries: Tensor, keys: Tensor) -> None:
            # Maps are made afterwards: what is computed here, recomputation would not find.
            seen.append((queries, keys))

        with SeenAttention(middle_blocks(len(self.backbone.blocks(self.transformer))), keep):
            predicted = self._predict(noisy, timestep, composed.context)
        losses = []
        for queries, keys in seen:
            if queries.shape[2] != text + composed.masks.shape[2]:
                raise ValueError(
                    "subject.attention needs a model that attends to text and video together, "
                    "expected 0 for this one"
                )
            maps = cross_attention(queries, keys, text)  # [B, N, L]
            by_subject = composed.words.to(maps.dtype) @ maps.transpose(1, 2)  # [B, S, N]
            losses.append(attention_loss(by_subject, composed.masks))
        return velocity_loss(predicted, target), torch.stack(losses).mean()

    def _noised(self, clean: Tensor, generator: torch.Generator) -> Noised:
        """Noisy latents with what an image-to-video model reads beside them, timesteps, target."""
        clean = clean.float()
        timestep = torch.randint(self.backbone.timesteps, (len(clean),), generator=generator)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        timestep = timestep.to(clean.device)
        noisy, target = self.backbone.noised(clean, noise, timestep)
        image = first_frame(self.transformer, clean)
        if image is not None:
            noisy = torch.cat([noisy, image], dim=1)
        return noisy, timestep, target

    def _predict(self, noisy: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        noisy = noisy.to(context.dtype)
        return self.backbone.predict(self.transformer, noisy, timestep, context)


def middle_blocks(count: int, many: int = 2) -> Sequence[int]:
    """The numbers of the blocks in the middle of a model of `count`."""
    first = max((count - many) // 2, 0)
    return range(first, min(first + many, count))
