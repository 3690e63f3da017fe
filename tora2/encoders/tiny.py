"""The bundled model's picture encoder: semantic tokens and an identity vector from one network."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .features import PictureFeatures


@dataclass(frozen=True)
class TinyEncoderConfig:
    """Sizes of the encoder; it makes (`picture` / 16)² tokens of `dim` channels."""

    picture: int = 64
    dim: int = 96


class TinyEncoder(nn.Module):
    """Stands for both ε_img and ε_prior of Eq. 3 in the bundled model; trained with it."""

    def __init__(self, config: TinyEncoderConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        side = config.picture // 16
        self.stem = nn.Sequential(
            nn.Conv2d(3, dim // 2, 4, stride=4),
            nn.SiLU(),
            nn.Conv2d(dim // 2, dim, 4, stride=2, padding=1),
            nn.SiLU(),
        )
        self.semantic = nn.Conv2d(dim, dim, 4, stride=2, padding=1)
        self.position = nn.Parameter(torch.randn(side * side, dim) * 0.02)
        self.prior = nn.Sequential(nn.Linear(2 * dim, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Encode prepared pictures.

        Args:
            pictures: [P, 3, S, S] in [0, 1], S the configured side.

        Returns:
            Semantic tokens [P, (S / 16)², dim] and identity vectors [P, dim].
        """
        h = self.stem(1 - 2 * pictures)
        tokens = self.semantic(h).flatten(2).transpose(1, 2) + self.position
        pooled = torch.cat([h.mean((2, 3)), h.amax((2, 3))], dim=1)
        return tokens, self.prior(pooled)

    def prepare(self, picture: Tensor) -> Tensor:
        """uint8 [3, H, W] of any size to [3, S, S] in [0, 1], padded to a square with white."""
        height, width = picture.shape[-2:]
        side = max(height, width)
        left, top = (side - width) // 2, (side - height) // 2
        padded = F.pad(picture, (left, side - width - left, top, side - height - top), value=255)
        size = (self.config.picture, self.config.picture)
        scaled = F.interpolate(padded[None].float(), size, mode="bicubic", antialias=True)
        return (scaled[0] / 255).clamp(0, 1)

    @torch.no_grad()
    def encode(self, pictures: Sequence[Tensor]) -> list[PictureFeatures]:
        """Encode reference pictures, uint8 [3, H, W] each, on the object branch."""
        parameter = self.position
        prepared = torch.stack([self.prepare(picture) for picture in pictures])
        semantic, prior = self(prepared.to(parameter.device, parameter.dtype))
        return [PictureFeatures(s, p, "object") for s, p in zip(semantic, prior, strict=True)]
