"""CogVideoX's causal encoder as it was trained: frames in chunks, pictures whole or in tiles."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from comfy import model_management
from torch import Tensor

from ...tora2.geometry import COGVIDEOX

logger = logging.getLogger(__name__)

_CHUNK = 2 * COGVIDEOX.temporal
# Upstream's tiles: a quarter of the trained picture, overlapping by a sixth and a fifth.
_TILE = (240, 360)
_OVERLAP = (1 / 6, 1 / 5)
_MAX_LOG_VARIANCE, _MIN_LOG_VARIANCE = 20.0, -30.0


@dataclass(frozen=True)
class CausalEncoder:
    """Stands for the host's autoencoder in one call of its VAE.

    Attributes:
        model: the host's `AutoencoderKLCogVideoX`.
        tiled: encode the picture in tiles; otherwise only where memory runs out.
        seed: samples the posterior; None takes its mean.
    """

    model: Any
    tiled: bool = False
    seed: int | None = None

    def encode(self, video: Tensor) -> Tensor:
        """Unscaled latents [B, 16, 1 + k, H/8, W/8] of a video [B, 3, 1 + 4k, H, W] in [-1, 1]."""
        if not self.tiled:
            try:
                return _drawn(encode_whole(self.model, video), self.seed)
            except (model_management.OOM_EXCEPTION, model_management.ACCELERATOR_ERROR) as error:
                if not model_management.is_oom(error):
                    raise
            # The host's own answer, tiles in time as well, would lose the causal cache.
            logger.warning(
                "Tora2: the video does not fit in memory whole and is encoded in tiles of %dx%d, "
                "which changes its latents a little",
                *reversed(_TILE),
            )
            model_management.soft_empty_cache()
        return _drawn(encode_tiled(self.model, video), self.seed)


def encode_whole(model: Any, video: Tensor) -> Tensor:
    """Moments of a video's posterior [B, 32, T, h, w]: first 8 + F mod 8 frames, then 8 at a time.

    e1: the host starts with F mod 8 frames, and with a single one it drops the cache of its causal
    convolutions, so that the next chunk begins as if it were the first.
    """
    cache, parts = None, []
    for chunk in _chunks(video):
        model_management.throw_exception_if_processing_interrupted()
        part, cache = model.encoder(chunk, conv_cache=cache)
        parts.append(part)
    return torch.cat(parts, dim=2)


def encode_tiled(model: Any, video: Tensor) -> Tensor:
    """As `encode_whole`, a tile of the picture after another through all frames, blended linearly.

    Tiles are those of diffusers' `AutoencoderKLCogVideoX.enable_tiling`; each keeps its own cache.
    """
    extent = [
        int(size // COGVIDEOX.spatial * share) for size, share in zip(_TILE, _OVERLAP, strict=True)
    ]
    kept = [size // COGVIDEOX.spatial - blend for size, blend in zip(_TILE, extent, strict=True)]
    above: list[Tensor] = []
    rows = []
    for top in _starts(video.shape[3], 0):
        row: list[Tensor] = []
        for column, left in enumerate(_starts(video.shape[4], 1)):
            part = video[..., top : top + _TILE[0], left : left + _TILE[1]]
            tile = encode_whole(model, part)
            if above:
                tile = _blended(above[column], tile, extent[0], dim=3)
            if row:
                tile = _blended(row[-1], tile, extent[1], dim=4)
            row.append(tile)
        rows.append(torch.cat([tile[..., : kept[0], : kept[1]] for tile in row], dim=4))
        above = row
    return torch.cat(rows, dim=3)


def _starts(length: int, axis: int) -> range:
    return range(0, length, int(_TILE[axis] * (1 - _OVERLAP[axis])))


def _blended(before: Tensor, after: Tensor, extent: int, dim: int) -> Tensor:
    """`after`, its first `extent` entries faded in over the last ones of `before`."""
    extent = min(before.shape[dim], after.shape[dim], extent)
    weight = torch.arange(extent, device=after.device, dtype=after.dtype) / extent
    weight = weight.view([-1 if axis == dim else 1 for axis in range(after.ndim)])
    tail = before.narrow(dim, before.shape[dim] - extent, extent)
    faded = torch.lerp(tail, after.narrow(dim, 0, extent), weight)
    return torch.cat([faded, after.narrow(dim, extent, after.shape[dim] - extent)], dim)


def _chunks(video: Tensor) -> Iterator[Tensor]:
    frames = video.shape[2]
    first = frames if frames < _CHUNK else _CHUNK + frames % _CHUNK
    yield video[:, :, :first]
    for start in range(first, frames, _CHUNK):
        yield video[:, :, start : start + _CHUNK]


def _drawn(moments: Tensor, seed: int | None) -> Tensor:
    mean, log_variance = moments.chunk(2, dim=1)
    if seed is None:
        return mean
    deviation = torch.exp(0.5 * log_variance.clamp(_MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE))
    # Drawn on the CPU, so that a seed gives one latent on every device.
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    return mean + deviation * noise.to(mean)
