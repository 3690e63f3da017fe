"""Videos to scaled latents and back, for CogVideoX's autoencoder and the bundled one."""

from typing import Any

import torch
from torch import Tensor

from .geometry import COGVIDEOX
from .models.autoencoder import PatchAutoencoder


def encode_video(vae: Any, video: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Scaled latents of a video.

    Args:
        vae: `PatchAutoencoder` or diffusers' `AutoencoderKLCogVideoX`.
        video: [B, 3, T, H, W] in [-1, 1], of a size that the autoencoder's `Grid` allows.
        generator: samples the posterior; without one its mean is taken.

    Returns:
        [B, C, T_l, h, w], multiplied by the autoencoder's scaling factor.

    Raises:
        ValueError: if a generator is given to `PatchAutoencoder`, which has no posterior.
    """
    if isinstance(vae, PatchAutoencoder):
        if generator is not None:
            raise ValueError(
                "the bundled autoencoder has no distribution to draw latents from: expected 'mean'"
            )
        return vae.encode(video.to(_type(vae))) * vae.config.scaling_factor
    posterior = vae.encode(video.to(vae.dtype)).latent_dist
    latents: Tensor = posterior.mode() if generator is None else posterior.sample(generator)
    return latents * vae.config.scaling_factor


def encode_posterior(vae: Any, video: Tensor) -> tuple[Tensor, Tensor | None]:
    """The distribution of a video's latents, not scaled; its mean is that of `encode_video`.

    Args:
        vae, video: as `encode_video` takes them.

    Returns:
        Mean and logarithm of the variance, [B, C, T_l, h, w] each; no variance for
        `PatchAutoencoder`, whose encoder gives one latent.
    """
    if isinstance(vae, PatchAutoencoder):
        return vae.encode(video.to(_type(vae))), None
    posterior = vae.encode(video.to(vae.dtype)).latent_dist
    return posterior.mode(), posterior.logvar


def decode_video(vae: Any, latents: Tensor) -> Tensor:
    """Inverse of `encode_video`: [B, 3, T, H, W], clamped to [-1, 1]."""
    if isinstance(vae, PatchAutoencoder):
        return vae.decode(latents.to(_type(vae)) / vae.config.scaling_factor).clamp(-1, 1)
    decoded: Tensor = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor).sample
    # CogVideoX makes four frames of the first latent too where their number is even; one is real.
    return decoded[:, :, -COGVIDEOX.video_frames(latents.shape[2]) :].clamp(-1, 1)


def _type(vae: PatchAutoencoder) -> torch.dtype:
    return next(vae.parameters()).dtype
