"""Videos through the host's VAE, encoded as CogVideoX was trained."""

from __future__ import annotations

import copy
import math
from functools import lru_cache
from typing import Any

import torch
from comfy import latent_formats, model_management, utils
from comfy.ldm.cogvideo.vae import AutoencoderKLCogVideoX
from comfy.ldm.wan.vae import WanVAE
from torch import Tensor

from ...tora2.geometry import COGVIDEOX
from . import memory
from .encoding import CausalEncoder, encode_whole

EXTRA_FRAMES = COGVIDEOX.temporal - 1
_BYTES = 24
"""Memory a pixel of what is encoded: its copies in [-1, 1] and in the VAE's own type."""


def encode(vae: Any, frames: Tensor, tiled: bool = False, seed: int | None = None) -> Tensor:
    """Unscaled latents [1, 16, T, H/8, W/8] of frames [1 + 4k, H, W, 3] in [0, 1].

    Args:
        vae: the host's VAE; it stays as it is.
        frames: of the video.
        tiled: encode the picture in tiles, which needs less memory.
        seed: samples the posterior; None takes its mean, as the host does.

    Raises:
        ValueError: if the VAE does not make CogVideoX's latents, a seed is given to one that has no
            posterior, or memory is short.
    """
    size = (frames.shape[0], frames.shape[1], frames.shape[2])
    memory.check(_BYTES * math.prod(size), f"encoding {COGVIDEOX.video_words(*size)}")
    if isinstance(vae.first_stage_model, AutoencoderKLCogVideoX):
        if tiled or seed is not None or loses_its_cache():
            vae = copy.copy(vae)
            vae.first_stage_model = CausalEncoder(vae.first_stage_model, tiled, seed)
    elif seed is not None:
        raise ValueError(
            f"the VAE is a {type(vae.first_stage_model).__name__}, which has no distribution to "
            "draw latents from: expected the mean, or CogVideoX's own VAE"
        )
    latents = vae.encode(frames)
    expected = COGVIDEOX.latent_shape(*size)
    if tuple(latents.shape) != expected:
        raise ValueError(
            f"the VAE made latents of {tuple(latents.shape)} of the video, expected {expected}: "
            "load CogVideoX's own VAE"
        )
    return latents


def scale(latents: Tensor, width: int, vae: Any = None) -> Tensor:
    """Latents as a transformer of `width` channels takes them, by the host's own rule.

    Those of Wan's VAE, if it is given, have statistics of their own.
    """
    if vae is not None and isinstance(vae.first_stage_model, WanVAE):
        return latent_formats.Wan21().process_in(latents)
    wide = width // 64 >= 48
    format = latent_formats.CogVideoX1_5() if wide else latent_formats.CogVideoX()
    return format.process_in(latents)


def extra_frames(vae: Any, frames: int) -> int:
    """How many frames CogVideoX's VAE decodes beyond `frames`, at the start of the video.

    It makes one frame of the first latent only where the number of latents is odd.
    """
    even = COGVIDEOX.latent_frames(frames) % 2 == 0
    mine = isinstance(vae.first_stage_model, AutoencoderKLCogVideoX)
    return EXTRA_FRAMES if even and mine else 0


def resize(image: Tensor, width: int, height: int, crop: bool) -> Tensor:
    """Pictures [N, H, W, C] at another size; cropped to the shape, or stretched to it."""
    how = "center" if crop else "disabled"
    resized = utils.common_upscale(image[..., :3].movedim(-1, 1), width, height, "bilinear", how)
    return resized.movedim(1, -1)


def empty_latent(width: int, height: int, frames: int, batch: int) -> dict[str, Tensor]:
    """An empty LATENT for a video.

    Raises:
        ValueError: if the host's memory cannot hold it.
    """
    shape = COGVIDEOX.latent_shape(frames, height, width, batch)
    words = COGVIDEOX.video_words(frames, height, width)
    memory.check(4 * math.prod(shape), f"the latent of {words}, {batch} at once,")
    return {"samples": torch.zeros(shape, device=model_management.intermediate_device())}


@lru_cache(maxsize=1)
def loses_its_cache() -> bool:
    """Whether a small autoencoder of the host encodes nine frames otherwise than in one pass."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small = AutoencoderKLCogVideoX(block_out_channels=(32, 32, 32, 32), layers_per_block=1)
        for parameter in small.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        video = torch.randn(1, 3, 9, 16, 16)
    with torch.no_grad():
        expected = encode_whole(small, video).chunk(2, dim=1)[0]
        return not torch.allclose(small.encode(video), expected, rtol=1e-3, atol=1e-3)
