"""A small causal video autoencoder with CogVideoX's compression and channels.

It serves the bundled tiny model. Working at latent resolution makes it cheap enough to train on a
CPU (docs/method.md, Bundled model); the pieces that smooth the seams between patches are the
overlapping patch embedding and a short refinement at full resolution.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..geometry import COGVIDEOX


@dataclass(frozen=True)
class PatchAutoencoderConfig:
    """Widths of the autoencoder; `scaling_factor` multiplies encoded latents, as in CogVideoX.

    Attributes:
        encoder: `learned`, a network with the decoder's widths; or `components`, the principal
            components of the pixels in a latent cell. A video model learns components sooner, as
            they change smoothly with what is seen; learned latents need not.
    """

    latent_channels: int = COGVIDEOX.channels
    width: int = 128
    layers: int = 3
    pixel_channels: int = 12
    scaling_factor: float = 1.0
    encoder: Literal["learned", "components"] = "learned"


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
    """Encodes videos [B, 3, T, H, W] in [-1, 1] to latents [B, C, T_l, h, w], and back.

    The encoder's output is the mean of the posterior. `scaling_factor` is the caller's to apply
    (`tora2.latents` does), as with CogVideoX's own autoencoder.
    """

    def __init__(self, config: PatchAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = COGVIDEOX
        width, pixels = config.width, config.pixel_channels
        time, side = self.grid.temporal, self.grid.spatial
        if config.encoder == "components":
            cell = (time, side, side)
            self.components = nn.Conv3d(3, config.latent_channels, cell, cell).requires_grad_(False)
        else:
            self.patch_in = nn.Conv3d(
                3,
                width,
                (time, 2 * side, 2 * side),
                (time, side, side),
                padding=(0, side // 2, side // 2),
            )
            self.encoder = nn.Sequential(*(CausalBlock(width) for _ in range(config.layers)))
            self.to_latent = nn.Conv3d(width, config.latent_channels, 1)
        self.from_latent = nn.Conv3d(config.latent_channels, width, 1)
        self.decoder = nn.Sequential(*(CausalBlock(width) for _ in range(config.layers)))
        self.patch_out = nn.Conv3d(width, time * (side // 2) ** 2 * pixels, 1)
        self.refine = nn.Sequential(
            nn.Conv2d(pixels, 4 * pixels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(4 * pixels, 4 * pixels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(4 * pixels, 4 * 3, 3, padding=1),
            nn.PixelShuffle(2),
        )
        if config.encoder == "components":
            # The network begins as nothing: what components give alone is what it is added to.
            for parameter in self.refine[-2].parameters():
                nn.init.zeros_(parameter)

    def encode(self, video: Tensor) -> Tensor:
        """Mean latents [B, C, T_l, h, w] of a video [B, 3, T, H, W] in [-1, 1].

        Raises:
            ValueError: if the frames or sides do not divide into latent frames and cells.
        """
        frames, height, width = video.shape[2:]
        side = self.grid.spatial
        if not self.grid.allows_frames(frames) or height % side or width % side:
            raise ValueError(
                f"the video to encode is {self.grid.video_words(frames, height, width)}, expected "
                f"{self.grid.frame_rule} frames and sides that are multiples of {side}"
            )
        first = video[:, :, :1].expand(-1, -1, self.grid.temporal - 1, -1, -1)
        video = torch.cat([first, video], dim=2)
        if self.config.encoder == "components":
            return self.components(video)
        return self.to_latent(self.encoder(self.patch_in(video)))

    def decode(self, latents: Tensor) -> Tensor:
        """Video [B, 3, T, H, W] (about [-1, 1]) of latents [B, C, T_l, h, w]."""
        h = self.patch_out(self.decoder(self.from_latent(latents)))
        time, half = self.grid.temporal, self.grid.spatial // 2
        h = rearrange(h, "b (p q r c) t h w -> b (t p) c (h q) (w r)", p=time, q=half, r=half)
        b = h.shape[0]
        h = self.refine(rearrange(h, "b t c h w -> (b t) c h w"))
        video = rearrange(h, "(b t) c h w -> b c t h w", b=b)
        if self.config.encoder == "components":
            video = video + self._composed(latents)
        return video[:, :, time - 1 :]

    def decoding_parameters(self) -> list[nn.Parameter]:
        """What `decode` alone uses, and training may move while latents stay what they mean."""
        parts = (self.from_latent, self.decoder, self.patch_out, self.refine)
        return [parameter for part in parts for parameter in part.parameters()]

    def _composed(self, latents: Tensor) -> Tensor:
        """The pixels that the components make, which are the nearest of their span."""
        weight, bias = self.components.weight, self.components.bias
        assert bias is not None
        shares = (latents - bias.view(-1, 1, 1, 1)) / weight.square().sum((1, 2, 3, 4)).view(
            -1, 1, 1, 1
        )
        return F.conv_transpose3d(shares, weight, stride=weight.shape[2:])
