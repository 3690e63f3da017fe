"""Collaborative sampling with the host's guider, model and memory."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import Any

import torch
from comfy import model_management
from comfy.model_patcher import create_model_options_clone
from comfy.samplers import CFGGuider, calc_cond_batch
from torch import Tensor

from ...tora2.customization.collaboration import KINDS, Collaboration, Kind, Maps, led, maps_of
from ...tora2.geometry import COGVIDEOX
from .gradients import NormalTensors, plain_attention
from .loras import BRANCH, methods
from .memory import GIB

logger = logging.getLogger(__name__)


class CollaborativeGuider(CFGGuider):
    """A branch with the subject's LoRAs alone and one with the motion's, mixed in every step.

    One model is in memory: the LoRAs stand beside its weights and take turns.
    """

    def set_collaboration(self, settings: Collaboration) -> None:
        """Take the weights of the branches.

        Raises:
            ValueError: if the model has no motion LoRA of ours, or not those blocks.
        """
        if "motion" not in methods(self.model_patcher):
            raise ValueError(
                "the model has no motion LoRA to run apart, expected one from "
                "Tora2 Load Motion LoRA: the host's own loader adds it to the weights"
            )
        self._settings = settings
        self._blocks: tuple[int, ...] = ()
        if settings.steps:
            blocks = getattr(self.model_patcher.model.diffusion_model, "blocks", ())
            self._blocks = settings.looked_at(len(blocks))

    def sample(self, noise: Tensor, *args: Any, **options: Any) -> Tensor:
        """As the host's, once it is told what leading takes."""
        if self._settings.leads(0):
            self._check_memory(noise)
        return super().sample(noise, *args, **options)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Any = None, seed: Any = None
    ) -> Tensor:
        options, settings = model_options or {}, self._settings
        at: dict[Kind, Tensor] = dict.fromkeys(KINDS, x)
        sampling = self.inner_model.model_sampling
        if settings.leads(self._step(timestep, options)):
            scale = float(sampling.calculate_input(timestep[:1], torch.ones(1, device=x.device)))
            at = led(
                settings,
                x,
                lambda kind, y: self._see(kind, y, timestep, options),
                lambda kind: nullcontext(),
                scale,
            )
        mixed: Tensor | None = None
        for kind, weight in zip(KINDS, (settings.subject, settings.motion), strict=True):
            if weight == 0:
                continue
            made = super().predict_noise(at[kind], timestep, _branch(options, kind), seed)
            if at[kind] is not x:
                # What the step takes away is the mixed prediction from x, not from either latent.
                zero = torch.zeros_like(x)
                made = made + sampling.calculate_denoised(timestep, zero, x - at[kind])
            if weight != 1:
                made = weight * made
            mixed = made if mixed is None else mixed + made
        assert mixed is not None
        return mixed

    def _see(self, kind: Kind, x: Tensor, timestep: Tensor, options: Any) -> Maps:
        """The attention of one branch under the prompt."""
        seen = _branch(options, kind)
        seen["transformer_options"]["optimized_attention_override"] = plain_attention
        rows, columns = (-(-side // COGVIDEOX.patch) for side in x.shape[-2:])

        def run() -> object:
            with NormalTensors():
                positive = [self.conds["positive"]]
                return calc_cond_batch(self.inner_model, positive, x, timestep, seen)

        return maps_of(run, self._blocks, x.shape[2], rows * columns)

    def _step(self, timestep: Tensor, options: Any) -> int:
        """The number of a noise level among those of the run."""
        sigmas = options.get("transformer_options", {}).get("sample_sigmas")
        if sigmas is None:
            return 0
        return int((sigmas.to(timestep) > timestep.max() * (1 + 1e-6)).sum())

    def _check_memory(self, noise: Tensor) -> None:
        """Say what leading keeps for its gradients, and refuse what is not free."""
        transformer = self.model_patcher.model.diffusion_model
        batch, _, frames, height, width = noise.shape
        rows, columns = (-(-side // COGVIDEOX.patch) for side in (height, width))
        text = max((one[0].shape[1] for one in self._prompts()), default=0)
        tokens = batch * (frames * rows * columns + text)
        size = self.model_patcher.model_dtype().itemsize
        need = self._settings.memory(len(transformer.blocks), tokens, transformer.dim, max(size, 2))
        device = self.model_patcher.load_device
        free = model_management.get_free_memory(device)
        weights = self.model_patcher.model_size() - self.model_patcher.loaded_size()
        logger.info(
            "Tora2: leading the branches keeps about %.1f GiB for its gradients", need / GIB
        )
        if need > free - weights:
            raise ValueError(
                f"leading the branches keeps {need / GIB:.1f} GiB for its gradients and "
                f"{max(free - weights, 0) / GIB:.1f} GiB are free beside the model, expected fewer "
                "blocks, a smaller video, or 0 aligned steps (the light mode)"
            )

    def _prompts(self) -> list[Any]:
        return [
            (one["cross_attn"],)
            for one in self.original_conds.get("positive", ())
            if one.get("cross_attn") is not None
        ]


def _branch(options: Any, kind: Kind) -> dict[str, Any]:
    """Model options under which one branch's LoRAs act."""
    own: dict[str, Any] = create_model_options_clone(options)
    own.setdefault("transformer_options", {})[BRANCH] = kind
    return own
