"""The denoising loop: CogVideoX's DPM and DDIM schedulers, guidance, condition windows."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler, CogVideoXTransformer3DModel
from torch import Tensor

from .backbone import predict
from .conditioning import Tora2Conditioning
from .guidance import dynamic_guidance
from .scene import Window

SCHEDULERS = {"dpm": CogVideoXDPMScheduler, "ddim": CogVideoXDDIMScheduler}


def make_scheduler(name: str, snr_shift_scale: float = 1.0) -> Any:
    """CogVideoX-5B's schedule: scaled-linear betas, zero terminal SNR, trailing, v-prediction.

    Raises:
        ValueError: if the name is not `dpm` or `ddim`.
    """
    if name not in SCHEDULERS:
        raise ValueError(f"scheduler {name!r} is unknown; expected one of {', '.join(SCHEDULERS)}")
    return SCHEDULERS[name](
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        set_alpha_to_one=True,
        snr_shift_scale=snr_shift_scale,
        timestep_spacing="trailing",
    )


@torch.no_grad()
def sample_latents(
    transformer: CogVideoXTransformer3DModel,
    scheduler: Any,
    noise: Tensor,
    context: Tensor,
    negative: Tensor | None = None,
    conditioning: Tora2Conditioning | None = None,
    steps: int = 50,
    guidance: float = 6.0,
    dynamic: bool = False,
    motion: Window | None = None,
    appearance: Window | None = None,
    image_latents: Tensor | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Denoise from pure noise.

    Args:
        transformer: a CogVideoX-1.0 model.
        scheduler: from `make_scheduler`, or a diffusers CogVideoX one.
        noise: [B, 16, T, H, W] unit Gaussian.
        context: [B, L, D] text of the prompts; `negative`: of the negative prompts, for guidance.
        conditioning: of the B clips; acts on both halves of the guidance.
        steps: denoising steps.
        guidance: classifier-free guidance scale; at 1 the negative half is not run.
        dynamic: upstream's dynamic guidance.
        motion, appearance: strength and window of the two conditions.
        image_latents: [B, 16, T, H, W] for image-to-video models, concatenated along channels.
        generator: of the noise that the DPM scheduler adds at every step.
        callback: called with (step, steps) after every step; may raise to cancel.

    Returns:
        [B, 16, T, H, W] denoised latents, still scaled.
    """
    motion, appearance = motion or Window(), appearance or Window()
    guided = negative is not None and (guidance != 1.0 or dynamic)
    text = torch.cat([negative, context]) if guided and negative is not None else context
    scheduler.set_timesteps(steps, device=noise.device)
    latents = noise * scheduler.init_noise_sigma
    previous: Tensor | None = None
    timesteps = scheduler.timesteps
    for index, timestep in enumerate(timesteps):
        progress = index / len(timesteps)
        active = conditioning
        if active is not None:
            active = active.scaled(motion.at(progress), appearance.at(progress))
        x = latents if image_latents is None else torch.cat([latents, image_latents], dim=1)
        x = torch.cat([x, x]) if guided else x
        velocity = predict(transformer, x.to(text.dtype), timestep, text, active).float()
        if guided:
            scale = guidance
            if dynamic:
                scale = dynamic_guidance(guidance, len(timesteps), float(timestep))
            without, with_text = velocity.chunk(2)
            velocity = without + scale * (with_text - without)
        if isinstance(scheduler, CogVideoXDPMScheduler):
            back = timesteps[index - 1] if index else None
            latents, previous = scheduler.step(
                velocity, previous, timestep, back, latents, generator=generator, return_dict=False
            )
        else:
            latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
        if callback is not None:
            callback(index + 1, len(timesteps))
    return latents
