"""Videos through the host's VAE, encoded as CogVideoX was trained."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

import torch
from comfy import latent_formats, model_management, utils
from comfy.ldm.cogvideo.vae import AutoencoderKLCogVideoX
from torch import Tensor

_CHUNK = 8


def encode(vae: Any, frames: Tensor) -> Tensor:
    """Unscaled latents [1, 16, T, H/8, W/8] of frames [1 + 4k, H, W, 3] in [0, 1].

    Raises:
        ValueError: if the VAE is none that compresses 4 x 8 x 8 to 16 channels.
    """
    if isinstance(vae.first_stage_model, AutoencoderKLCogVideoX) and loses_its_cache():
        vae = copy.copy(vae)
        vae.first_stage_model = _InChunks(vae.first_stage_model)
    latents = vae.encode(frames)
    count, height, width = frames.shape[:3]
    expected = (1, 16, (count - 1) // 4 + 1, height // 8, width // 8)
    if tuple(latents.shape) != expected:
        raise ValueError(
            f"the VAE made latents of {tuple(latents.shape)} of the video, expected {expected}: "
            "load CogVideoX's own VAE"
        )
    return latents


def scale(latents: Tensor, width: int) -> Tensor:
    """Latents as a transformer of `width` channels takes them, by the host's own rule."""
    wide = width // 64 >= 48
    format = latent_formats.CogVideoX1_5() if wide else latent_formats.CogVideoX()
    return format.process_in(latents)


def resize(image: Tensor, width: int, height: int, crop: bool) -> Tensor:
    """Pictures [N, H, W, C] at another size; cropped to the shape, or stretched to it."""
    how = "center" if crop else "disabled"
    resized = utils.common_upscale(image[..., :3].movedim(-1, 1), width, height, "bilinear", how)
    return resized.movedim(1, -1)


def empty_latent(width: int, height: int, frames: int, batch: int) -> dict[str, Tensor]:
    """An empty LATENT for a video."""
    shape = (batch, 16, (frames - 1) // 4 + 1, height // 8, width // 8)
    return {"samples": torch.zeros(shape, device=model_management.intermediate_device())}


def encode_in_chunks(model: Any, video: Tensor) -> Tensor:
    """Posterior mean of a video [B, 3, F, H, W]: first 8 + F mod 8 frames, then 8 at a time.

    e1: the host starts with F mod 8 frames, and with a single one it drops the cache of its causal
    convolutions, so that the next chunk begins as if it were the first.
    """
    frames = video.shape[2]
    first = frames if frames < _CHUNK else _CHUNK + frames % _CHUNK
    cache, parts = None, []
    for start, end in _spans(frames, first):
        model_management.throw_exception_if_processing_interrupted()
        part, cache = model.encoder(video[:, :, start:end], conv_cache=cache)
        parts.append(part)
    return torch.cat(parts, dim=2).chunk(2, dim=1)[0]


def _spans(frames: int, first: int) -> list[tuple[int, int]]:
    starts = [0, *range(first, frames, _CHUNK)]
    return list(zip(starts, [*starts[1:], frames], strict=True))


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
        expected = encode_in_chunks(small, video)
        return not torch.allclose(small.encode(video), expected, rtol=1e-3, atol=1e-3)


class _InChunks:
    """Stands for the autoencoder in one call of the VAE."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def encode(self, video: Tensor) -> Tensor:
        return encode_in_chunks(self.model, video)
