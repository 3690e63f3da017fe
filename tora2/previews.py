"""Colours of latents without a decoder: a straight line, fitted to what an autoencoder encodes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from .data.spritebind import SpriteBind, SpriteBindConfig
from .files import PathLike, atomic_path, read_bounded
from .geometry import COGVIDEOX

ROWS = 4
"""Of drawn frames in the chart, and of columns."""
_RIDGE = 1e-4
_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class RgbFactors:
    """Unscaled latents times `factors` plus `bias` is about RGB in [-1, 1].

    Attributes:
        factors: a row of three a latent channel.
        bias: three.
        explained: share of the chart's variance in colour that the line explains, at most 1.
    """

    factors: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    explained: float

    def __call__(self, latents: Tensor) -> Tensor:
        """[..., C, h, w] to [..., 3, h, w]."""
        factors, bias = latents.new_tensor(self.factors), latents.new_tensor(self.bias)
        return torch.einsum("...chw,cr->...rhw", latents, factors) + bias[:, None, None]

    def save(self, path: PathLike) -> None:
        """Write them as JSON."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: PathLike) -> RgbFactors:
        """Read what `save` wrote.

        Raises:
            ValueError: if it is something else.
        """
        try:
            given = json.loads(read_bounded(path, _MOST_BYTES))
            rows = tuple(tuple(float(x) for x in row) for row in given["factors"])
            bias = tuple(float(x) for x in given["bias"])
            explained = float(given["explained"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no RGB factors: {error}") from error
        if len(bias) != 3 or len(rows) != COGVIDEOX.channels or any(len(x) != 3 for x in rows):
            raise ValueError(
                f"{path} holds RGB factors of {len(rows)} channels, expected {COGVIDEOX.channels} "
                "rows of three, and three more"
            )
        return cls(rows, bias, explained)


def chart() -> Tensor:
    """One frame [H, W, 3] in [0, 1] of many drawn ones: what factors are fitted on."""
    clips = SpriteBind(SpriteBindConfig(frames=9), seed=0, length=ROWS**2)
    frames = torch.stack([clip.frames[0] for clip in clips])
    return rearrange(frames, "(r k) c h w -> (r h) (k w) c", r=ROWS).float() / 255


def fit(latents: Tensor, frame: Tensor) -> RgbFactors:
    """The least squares of a frame's colours, averaged in each latent's cell, on its latents.

    Args:
        latents: [C, h, w] of the frame, unscaled.
        frame: [H, W, 3] in [0, 1].
    """
    size = (latents.shape[-2], latents.shape[-1])
    colours = F.adaptive_avg_pool2d(frame.movedim(-1, 0).double() * 2 - 1, size)
    wanted = colours.flatten(1).T
    given = latents.double().cpu().flatten(1).T
    means = given.mean(0), wanted.mean(0)
    given, wanted = given - means[0], wanted - means[1]
    # A little is added to the diagonal: channels that say the same would share any weight.
    square = given.T @ given
    square += _RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    factors = torch.linalg.solve(square, given.T @ wanted)
    left = (wanted - given @ factors).square().sum() / wanted.square().sum()
    bias = means[1] - means[0] @ factors
    return RgbFactors(
        tuple(tuple(round(x, 6) for x in row) for row in factors.tolist()),
        tuple(round(x, 6) for x in bias.tolist()),
        round(1 - float(left), 4),
    )
