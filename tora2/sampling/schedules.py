"""The solvers that step a clip from noise to latents, as diffusers has them."""

from typing import Any

import torch
from torch import Tensor

from ..backbones import backbone_named


def make_scheduler(name: str, backbone: str = "cogvideox") -> Any:
    """A diffusers scheduler with the noise schedule that a backbone was trained on.

    Args:
        name: of the solver; CogVideoX has `dpm` and `ddim`.
        backbone: by name.

    Raises:
        ValueError: if the backbone, or its solver, is unknown.
    """
    return backbone_named(backbone).make_scheduler(name)


class Solver:
    """A scheduler in the middle of a clip, with what it has to remember between steps.

    Args:
        scheduler: from `make_scheduler`, or another of diffusers that steps alike.
        steps: denoising steps.
        device: of the latents.
        generator: of the noise that CogVideoX's DPM solver adds at every step.
    """

    def __init__(
        self,
        scheduler: Any,
        steps: int,
        device: torch.device,
        generator: torch.Generator | None = None,
    ) -> None:
        from diffusers import CogVideoXDPMScheduler

        scheduler.set_timesteps(steps, device=device)
        self.timesteps = scheduler.timesteps
        self._scheduler, self._generator = scheduler, generator
        self._remembers = isinstance(scheduler, CogVideoXDPMScheduler)
        self._previous: Tensor | None = None

    def start(self, noise: Tensor) -> Tensor:
        """The latents of the first step, of unit Gaussian noise."""
        return noise * self._scheduler.init_noise_sigma

    def step(self, index: int, prediction: Tensor, latents: Tensor) -> Tensor:
        """The latents after the step of `timesteps[index]`; steps are taken in order."""
        timestep = self.timesteps[index]
        if not self._remembers:
            stepped: Tensor = self._scheduler.step(
                prediction, timestep, latents, return_dict=False
            )[0]
            return stepped
        back = self.timesteps[index - 1] if index else None
        stepped, self._previous = self._scheduler.step(
            prediction,
            self._previous,
            timestep,
            back,
            latents,
            generator=self._generator,
            return_dict=False,
        )
        return stepped
