"""Videos to scaled latents and back, for the backbones' autoencoders and the bundled one."""

from typing import Any

import torch
from torch import Tensor

from .geometry import COGVIDEOX, LATTE, WAN, Grid
from .models.autoencoder import PatchAutoencoder

GRIDS = {
    "AutoencoderKLCogVideoX": COGVIDEOX,
    "AutoencoderKLWan": WAN,
    "AutoencoderKL": LATTE,
}
"""The latent geometries of diffusers' autoencoders, by their class."""


def grid_of(vae: Any) -> Grid:
    """The latent geometry of an autoencoder."""
    return vae.grid if isinstance(vae, PatchAutoencoder) else GRIDS[type(vae).__name__]


def scaling_of(vae: Any) -> float:
    """What `encode_posterior`'s latents are multiplied by; Wan's have unit variance already."""
    return 1.0 if _is_wan(vae) else float(vae.config.scaling_factor)


def encode_video(vae: Any, video: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Scaled latents of a video.

    Args:
        vae: `PatchAutoencoder`, or an autoencoder of diffusers that `GRIDS` names.
        video: [B, 3, T, H, W] in [-1, 1], of a size that the autoencoder's `Grid` allows.
        generator: samples the posterior; without one its mean is taken.

    Returns:
        [B, C, T_l, h, w], as the transformer reads them.

    Raises:
        ValueError: if a generator is given to `PatchAutoencoder`, which has no posterior.
    """
    if isinstance(vae, PatchAutoencoder):
        if generator is not None:
            raise ValueError(
                "the bundled autoencoder has no distribution to draw latents from: expected 'mean'"
            )
        return vae.encode(video.to(_type(vae))) * vae.config.scaling_factor
    posterior = vae.encode(_inside(vae, video.to(vae.dtype))).latent_dist
    latents: Tensor = posterior.mode() if generator is None else posterior.sample(generator)
    return _standard(vae, _outside(vae, latents, len(video))) * scaling_of(vae)


def encode_posterior(vae: Any, video: Tensor) -> tuple[Tensor, Tensor | None]:
    """The distribution of a video's latents, not scaled; its mean is that of `encode_video`.

    Args:
        vae, video: as `encode_video` takes them.

    Returns:
        Mean and logarithm of the variance, [B, C, T_l, h, w] each; no variance for
        `PatchAutoencoder`, whose encoder gives one latent. `scaling_of` is to be multiplied.
    """
    if isinstance(vae, PatchAutoencoder):
        return vae.encode(video.to(_type(vae))), None
    posterior = vae.encode(_inside(vae, video.to(vae.dtype))).latent_dist
    mean, logvar = (_outside(vae, x, len(video)) for x in (posterior.mode(), posterior.logvar))
    if _is_wan(vae):
        logvar = logvar - 2 * _statistics(vae, mean)[1].log()
    return _standard(vae, mean), logvar


def decode_video(vae: Any, latents: Tensor) -> Tensor:
    """Inverse of `encode_video`: [B, 3, T, H, W], clamped to [-1, 1]."""
    if isinstance(vae, PatchAutoencoder):
        return vae.decode(latents.to(_type(vae)) / vae.config.scaling_factor).clamp(-1, 1)
    latents = latents.to(vae.dtype) / scaling_of(vae)
    if _is_wan(vae):
        mean, deviation = _statistics(vae, latents)
        latents = latents * deviation + mean
    decoded: Tensor = _outside(vae, vae.decode(_inside(vae, latents)).sample, len(latents))
    # CogVideoX makes four frames of the first latent too where their number is even; one is real.
    return decoded[:, :, -grid_of(vae).video_frames(latents.shape[2]) :].clamp(-1, 1)


def _type(vae: PatchAutoencoder) -> torch.dtype:
    return next(vae.parameters()).dtype


def _is_wan(vae: Any) -> bool:
    return type(vae).__name__ == "AutoencoderKLWan"


def _statistics(vae: Any, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of Wan's latents."""
    mean, deviation = (
        latents.new_tensor(x).view(-1, 1, 1, 1)
        for x in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, deviation


def _standard(vae: Any, latents: Tensor) -> Tensor:
    if not _is_wan(vae):
        return latents
    mean, deviation = _statistics(vae, latents)
    return (latents - mean) / deviation


def _inside(vae: Any, x: Tensor) -> Tensor:
    """A video or its latents as the autoencoder takes them: that of pictures, frame by frame."""
    return x.transpose(1, 2).flatten(0, 1) if grid_of(vae) == LATTE else x


def _outside(vae: Any, x: Tensor, batch: int) -> Tensor:
    return x.unflatten(0, (batch, -1)).transpose(1, 2) if grid_of(vae) == LATTE else x
