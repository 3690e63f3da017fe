"""Guidance: which runs of the transformer a step takes, and how their predictions combine.

A guider decides both, so that one whose branches differ in text, motion or appearance is a class of
its own and the loop stays as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..conditioning import Tora2Conditioning


@dataclass(frozen=True, eq=False)
class Branch:
    """One run of the transformer within a step.

    Attributes:
        context: [B, L, D] text.
        conditioning: of the B clips, or None. Neighbouring branches that hold the very same one
            run as one batch.
    """

    context: Tensor
    conditioning: Tora2Conditioning | None = None


class Guider(Protocol):
    """What the loop asks of guidance."""

    def branches(
        self, context: Tensor, negative: Tensor | None, conditioning: Tora2Conditioning | None
    ) -> list[Branch]:
        """The runs of a step, at least one.

        Args:
            context: [B, L, D] text of the prompts; `negative`: of the negative prompts, if any.
            conditioning: of the B clips, at the strengths of this step.
        """
        ...

    def combine(self, predictions: Sequence[Tensor], steps: int, timestep: float) -> Tensor:
        """One prediction [B, C, T, H, W] of the branches', in their order.

        Args:
            steps: denoising steps.
            timestep: of the training schedule.
        """
        ...


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance; the clip's conditions act on both halves.

    Attributes:
        scale: how far to go from the negative prompt's prediction to the prompt's; at 1 the
            negative half is not run.
    """

    scale: float = 6.0

    def branches(
        self, context: Tensor, negative: Tensor | None, conditioning: Tora2Conditioning | None
    ) -> list[Branch]:
        positive = Branch(context, conditioning)
        if negative is None or not self._guides():
            return [positive]
        return [Branch(negative, conditioning), positive]

    def combine(self, predictions: Sequence[Tensor], steps: int, timestep: float) -> Tensor:
        if len(predictions) == 1:
            return predictions[0]
        without, with_text = predictions
        return without + self._scale_at(steps, timestep) * (with_text - without)

    def _guides(self) -> bool:
        return self.scale != 1.0

    def _scale_at(self, steps: int, timestep: float) -> float:
        return self.scale


@dataclass(frozen=True)
class Dynamic(ClassifierFree):
    """Classifier-free guidance whose scale is upstream's `dynamic_guidance`."""

    def _guides(self) -> bool:
        return True

    def _scale_at(self, steps: int, timestep: float) -> float:
        return dynamic_guidance(self.scale, steps, timestep)


def dynamic_guidance(
    guidance: float, steps: int, timestep: float, upstream: bool = True, timesteps: int = 1000
) -> float:
    """The guidance scale at a timestep, between 1 and 1 + `guidance`.

    Args:
        guidance: how far the scale rises.
        steps: denoising steps.
        timestep: of the training schedule, `timesteps` - 1 at the first step.
        upstream: as CogVideoX and Tora compute it, with the timestep where the number of the step
            was meant; the scale then jumps about instead of rising. Kept for equal numbers.
        timesteps: length of the training schedule.

    Source: `use_dynamic_cfg` of diffusers' CogVideoX pipelines.
    """
    progress = (steps - timestep) / steps if upstream else 1 - (timestep + 1) / timesteps
    return 1 + guidance * (1 - math.cos(math.pi * progress**5)) / 2
