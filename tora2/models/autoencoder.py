"""A small causal video autoencoder with CogVideoX's compression (4 x 8 x 8, 16 channels).

It serves the bundled tiny model. Working at latent resolution makes it cheap enough to train on a
CPU (METHOD 8.5); the pieces that smooth the seams between patches are the overlapping patch
embedding and a short refinement at full resolution.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


@dataclass(frozen=True)
class PatchAutoencoderConfig:
    """Widths of the autoencoder; `scaling_factor` multiplies encoded latents, as in CogVideoX."""

    latent_channels: int = 16
    width: int = 128
    layers: int = 3
    pixel_channels: int = 12
    scaling_factor: float = 1.0


class ChannelNorm(nn.Module):
    """RMS norm over the channels of [B, C, T, H, W], a position at a time: causal and local."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6) * self.weight


class CausalBlock(nn.Module):
    """Residual block: a spatial convolution, then a temporal one that sees the past alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.spatial = nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1))
        self.temporal = nn.Conv3d(width, width, (3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.spatial(F.silu(self.norm(x))))
        return x + self.temporal(F.pad(h, (0, 0, 0, 0, 2, 0)))


class PatchAutoencoder(nn.Module):
    """Encodes [B, 3, 1 + 4k, H, W] in [-1, 1] to [B, 16, 1 + k, H/8, W/8] and back.

    The encoder's output is the mean of the posterior. `scaling_factor` is the caller's to apply
    (`tora2.latents` does), as with CogVideoX's own autoencoder.
    """

    def __init__(self, config: PatchAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        width, pixels = config.width, config.pixel_channels
        self.patch_in = nn.Conv3d(3, width, (4, 16, 16), (4, 8, 8), padding=(0, 4, 4))
        self.encoder = nn.Sequential(*(CausalBlock(width) for _ in range(config.layers)))
        self.to_latent = nn.Conv3d(width, config.latent_channels, 1)
        self.from_latent = nn.Conv3d(config.latent_channels, width, 1)
        self.decoder = nn.Sequential(*(CausalBlock(width) for _ in range(config.layers)))
        self.patch_out = nn.Conv3d(width, 4 * 16 * pixels, 1)
        self.refine = nn.Sequential(
            nn.Conv2d(pixels, 4 * pixels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(4 * pixels, 4 * pixels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(4 * pixels, 4 * 3, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def encode(self, video: Tensor) -> Tensor:
        """Mean latents [B, 16, 1 + k, H/8, W/8] of a video [B, 3, 1 + 4k, H, W] in [-1, 1].

        Raises:
            ValueError: if the frames are not 1 + 4k or a side is no multiple of 8.
        """
        frames, height, width = video.shape[2:]
        if frames % 4 != 1 or height % 8 or width % 8:
            raise ValueError(
                f"video of {frames} frames at {width}x{height} cannot be encoded; "
                "expected 1 + 4k frames and sides that are multiples of 8"
            )
        video = torch.cat([video[:, :, :1].expand(-1, -1, 3, -1, -1), video], dim=2)
        return self.to_latent(self.encoder(self.patch_in(video)))

    def decode(self, latents: Tensor) -> Tensor:
        """Video [B, 3, 1 + 4k, H, W] (about [-1, 1]) of latents [B, 16, 1 + k, H/8, W/8]."""
        h = self.patch_out(self.decoder(self.from_latent(latents)))
        h = rearrange(h, "b (p q r c) t h w -> b (t p) c (h q) (w r)", p=4, q=4, r=4)
        b = h.shape[0]
        h = self.refine(rearrange(h, "b t c h w -> (b t) c h w"))
        return rearrange(h, "(b t) c h w -> b c t h w", b=b)[:, :, 3:]
