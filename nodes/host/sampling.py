"""The paper's sampling with the host's guider, sampler and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.sample
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import (
    ModelPatcher,
    create_model_options_clone,
    set_model_options_post_cfg_function,
)
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider, calc_cond_batch, calculate_sigmas, ksampler
from torch import Tensor

from ...tora2.sampling.guiders import dynamic_guidance
from .injection import KEY, WITHOUT

GUIDANCE_MODES = ("constant", "dynamic", "dynamic (upstream)")


class SplitGuider(CFGGuider):
    """Guidance by text, by motion and by appearance, each with a scale of its own.

    Text guides as in classifier-free guidance, with the paths and pictures on both sides. Each of
    the others adds how much the prompt's own prediction changes when that condition is left out: a
    further run of the model in every step, and none at 0.
    """

    def set_guidance(self, text: float, motion: float = 0.0, appearance: float = 0.0) -> None:
        self.set_cfg(text)
        scales = {"motion": motion, "appearance": appearance}
        self._scales = {kind: scale for kind, scale in scales.items() if scale}
        for kind, scale in self._scales.items():
            if not self.model_patcher.get_wrappers(WrappersMP.APPLY_MODEL, KEY):
                raise ValueError(
                    f"{kind}_guidance is {scale:g} but the model has no paths or pictures to guide "
                    "by, expected one from Tora2 Apply"
                )

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Any = None, seed: Any = None
    ) -> Tensor:
        options = model_options or {}
        if not self._scales:
            return super().predict_noise(x, timestep, options, seed)
        seen: list[Tensor] = []

        def look(given: dict[str, Any]) -> Tensor:
            seen.append(given["cond_denoised"])
            return given["denoised"]

        looked = set_model_options_post_cfg_function(create_model_options_clone(options), look)
        guided = super().predict_noise(x, timestep, looked, seed)
        for kind, scale in self._scales.items():
            less = create_model_options_clone(options)
            less.setdefault("transformer_options", {})[WITHOUT] = (kind,)
            positive = [self.conds["positive"]]
            (without,) = calc_cond_batch(self.inner_model, positive, x, timestep, less)
            guided = guided + scale * (seen[-1] - without)
        return guided


class ScheduledGuider(CFGGuider):
    """Classifier-free guidance whose scale is a function of the timestep."""

    def set_schedule(self, scale: Callable[[float], float]) -> None:
        self._scale = scale

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Any = None, seed: Any = None
    ) -> Tensor:
        sampling = self.model_patcher.get_model_object("model_sampling")
        self.cfg = self._scale(float(sampling.timestep(timestep.max())))
        return super().predict_noise(x, timestep, model_options or {}, seed)


def sample(
    model: ModelPatcher,
    latent: dict[str, Any],
    positive: Any,
    negative: Any,
    *,
    steps: int,
    guidance: float,
    mode: str,
    seed: int,
    denoise: float = 1.0,
    noise_sampler: Any = None,
) -> dict[str, Any]:
    """Denoise a LATENT with SDE-DPM-Solver++ 2M on trailing timesteps.

    Args:
        model: a corrected CogVideoX MODEL.
        latent: its `samples` are the start, or zeros.
        positive, negative: CONDITIONING; without a negative one the model runs unguided.
        steps: denoising steps.
        guidance: scale of the guidance, or with a dynamic `mode` how far it rises above 1.
        mode: one of `GUIDANCE_MODES`.
        seed: of the noise at the start and in the steps.
        denoise: part of the schedule that is run; below 1 the samples shine through.
        noise_sampler: gives the noise of each step instead of the host's.

    Returns:
        The LATENT with denoised samples.
    """
    guider = ScheduledGuider(model)
    guider.set_conds(positive, positive if negative is None else negative)
    scale = 1.0 if negative is None else guidance

    def at(timestep: float) -> float:
        if mode == "constant" or negative is None:
            return scale
        return dynamic_guidance(guidance, steps, timestep, upstream=mode.endswith("(upstream)"))

    guider.set_schedule(at)
    total = int(steps / denoise)
    sigmas = calculate_sigmas(model.get_model_object("model_sampling"), "simple", total)
    start = comfy.sample.fix_empty_latent_channels(
        model,
        latent["samples"],
        latent.get("downscale_ratio_spacial"),
        latent.get("downscale_ratio_temporal"),
    )
    options = {} if noise_sampler is None else {"noise_sampler": noise_sampler}
    samples = guider.sample(
        comfy.sample.prepare_noise(start, seed, latent.get("batch_index")),
        start,
        ksampler("dpmpp_2m_sde", options),
        sigmas[-(steps + 1) :],
        denoise_mask=latent.get("noise_mask"),
        callback=latent_preview.prepare_callback(model, steps),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
    made = {k: v for k, v in latent.items() if not k.startswith("downscale_ratio_")}
    device = comfy.model_management.intermediate_device()
    return made | {"samples": samples.to(device, torch.float32)}
