"""Binding of entity, word and trajectory (Tora2 section 3.2, Eq. 5).

Points are normalised to [0, 1], (x, y), origin top-left, y down. Motion tokens are gathered from
the shared motion features along each entity's tracks and, once bound, splatted back onto them, so
that one trajectory path serves all entities (docs/method.md, Binding).
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from ..geometry import COGVIDEOX
from .personalization import attention, feed_forward


def fourier(x: Tensor, bands: int) -> Tensor:
    """Sines and cosines of x at `bands` octaves from half a turn a unit: [..., D] to [..., 2DB]."""
    octaves = math.pi * 2.0 ** torch.arange(bands, device=x.device, dtype=x.dtype)
    angles = (x[..., None] * octaves).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class MotionTokenizer(nn.Module):
    """Makes m_i: features sampled along the tracks, with position, velocity, time, visibility."""

    _POSITION_BANDS, _TIME_BANDS = 6, 8

    def __init__(self, feature_dim: int, dim: int) -> None:
        super().__init__()
        self.feature = nn.Linear(feature_dim, dim)
        self.position = nn.Linear(4 * self._POSITION_BANDS, dim, bias=False)
        self.velocity = nn.Linear(2, dim, bias=False)
        self.time = nn.Linear(2 * self._TIME_BANDS, dim, bias=False)
        self.visibility = nn.Embedding(2, dim)

    def forward(self, features: Tensor, points: Tensor, visible: Tensor) -> Tensor:
        """Motion tokens of every track.

        Args:
            features: [B, T, F, H, W] motion features, one map a latent frame.
            points: [B, K, T, 2] track points, normalised (x, y).
            visible: [B, K, T] in [0, 1].

        Returns:
            [B, K, T, dim].
        """
        frames = points.shape[2]
        grid = rearrange(points * 2 - 1, "b k t c -> (b t) k 1 c").to(features.dtype)
        maps = rearrange(features, "b t f h w -> (b t) f h w")
        sampled = F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
        sampled = rearrange(sampled, "(b t) f k 1 -> b k t f", t=frames)
        velocity = torch.diff(points, dim=2, prepend=points[:, :, :1])
        clock = torch.arange(frames, device=points.device, dtype=points.dtype)[:, None] / 64
        dtype = self.position.weight.dtype
        return (
            self.feature(sampled)
            + self.position(fourier(points, self._POSITION_BANDS).to(dtype))
            + self.velocity((velocity * 8).to(dtype))
            + self.time(fourier(clock, self._TIME_BANDS).to(dtype))
            + self.visibility((visible > 0.5).long())
        )


class GatedSelfAttention(nn.Module):
    """Eq. 5: self-attention over [p_i; m_i; c_i] of one entity, gated residuals on p_i and m_i.

    The gates are tanh of a scalar that starts at zero; the projections they multiply start random,
    so that the gates receive gradient at the first step.
    """

    def __init__(self, dim: int, word_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.word_projection = nn.Linear(word_dim, dim)
        self.modality_embedding = nn.Embedding(3, dim)
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)
        self.feed_forward = feed_forward(dim)
        self.project_p = nn.Linear(dim, dim, bias=False)
        self.project_m = nn.Linear(dim, dim, bias=False)
        self.gate_p = nn.Parameter(torch.zeros(()))
        self.gate_m = nn.Parameter(torch.zeros(()))
        nn.init.normal_(self.modality_embedding.weight, std=0.02)

    def forward(
        self, p: Tensor, m: Tensor, words: Tensor, m_mask: Tensor, word_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Bind each row's picture, track and word.

        Args:
            p: [B, L_p, D] personalization embeddings.
            m: [B, L_m, D] motion tokens.
            words: [B, L_c, word_dim] tokens of the entity word.
            m_mask: [B, L_m] bool, True is present.
            word_mask: [B, L_c] bool.

        Returns:
            The bound p and m, shapes as given. The word tokens are discarded.
        """
        kind = self.modality_embedding.weight
        x = torch.cat([p + kind[0], m + kind[1], self.word_projection(words) + kind[2]], dim=1)
        mask = torch.cat([m_mask.new_ones(p.shape[:2]), m_mask, word_mask], dim=1)
        q, k, v = self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        hat = self.to_out(attention(q, k, v, self.heads, mask))
        hat = hat + self.feed_forward(x + hat)
        p_hat, m_hat, _ = hat.split([p.shape[1], m.shape[1], words.shape[1]], dim=1)
        return (
            p + torch.tanh(self.gate_p) * self.project_p(p_hat),
            m + torch.tanh(self.gate_m) * self.project_m(m_hat),
        )


class LinearBinding(nn.Module):
    """Video Alchemist's binding by linear projection of channel-concatenated means (Table 3)."""

    def __init__(self, dim: int, word_dim: int) -> None:
        super().__init__()
        self.word_projection = nn.Linear(word_dim, dim)
        self.project_p = nn.Linear(3 * dim, dim)
        self.project_m = nn.Linear(3 * dim, dim)
        self.gate_p = nn.Parameter(torch.zeros(()))
        self.gate_m = nn.Parameter(torch.zeros(()))

    def forward(
        self, p: Tensor, m: Tensor, words: Tensor, m_mask: Tensor, word_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `GatedSelfAttention.forward`."""
        p_mean = p.mean(1, keepdim=True)
        m_mean = masked_mean(m, m_mask)[:, None]
        c_mean = masked_mean(self.word_projection(words), word_mask)[:, None]

        def joined(x: Tensor, other: Tensor) -> Tensor:
            return torch.cat([x, other.expand_as(x), c_mean.expand_as(x)], dim=-1)

        return (
            p + torch.tanh(self.gate_p) * self.project_p(joined(p, m_mean)),
            m + torch.tanh(self.gate_m) * self.project_m(joined(m, p_mean)),
        )


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of x [B, S, D] over the positions where mask [B, S] is True; zero where none is."""
    weight = mask.to(x.dtype)[..., None]
    return (x * weight).sum(1) / weight.sum(1).clamp(min=1)


class TrackSplat(nn.Module):
    """Puts the change that binding made to the motion tokens back onto the motion features.

    Every level has its own projection, as the features of each block differ in meaning.
    """

    def __init__(self, dim: int, feature_dim: int, layers: int, sigma: float = 1.75) -> None:
        super().__init__()
        self.sigma = sigma
        self.projections = nn.ModuleList(
            nn.Linear(dim, feature_dim, bias=False) for _ in range(layers)
        )

    def footprint(self, points: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
        """Gaussian footprints A of track points on a token grid.

        Args:
            points: [B, K, T, 2] normalised (x, y).
            weight: [B, K, T] multiplies each footprint: visibility times strength.
            size: (H, W) of the token grid; the standard deviation is `sigma` tokens.

        Returns:
            [B, K, T, H, W].
        """
        height, width = size
        ys = torch.arange(height, device=points.device, dtype=points.dtype) + 0.5
        xs = torch.arange(width, device=points.device, dtype=points.dtype) + 0.5
        dx = xs - points[..., 0:1] * width
        dy = ys - points[..., 1:2] * height
        scale = -0.5 / self.sigma**2
        rows, columns = (scale * dy.square()).exp(), (scale * dx.square()).exp()
        return weight[..., None, None] * rows[..., :, None] * columns[..., None, :]

    def forward(self, features: list[Tensor], change: Tensor, footprint: Tensor) -> list[Tensor]:
        """Add the splatted change to every level.

        Args:
            features: `layers` tensors [B * T, F, H, W].
            change: [B, K, T, D] what binding added to the motion tokens.
            footprint: [B, K, T, H, W].

        Returns:
            As `features`.
        """
        area = footprint.to(change.dtype)
        splatted = []
        for feature, project in zip(features, self.projections, strict=True):
            residual = torch.einsum("bktf,bkthw->btfhw", project(change), area)
            splatted.append(feature + residual.flatten(0, 1).to(feature.dtype))
        return splatted


def latent_windows(x: Tensor, reduce_visible: Tensor, stride: int = COGVIDEOX.temporal) -> Tensor:
    """Mean over the frames of each latent frame's window, weighted by visibility.

    Latent frame 0 stands for video frame 0, latent frame t for frames stride·(t-1)+1 … stride·t.

    Args:
        x: [..., T, D].
        reduce_visible: [..., T] weights; where all of a window are zero the plain mean is taken.
        stride: video frames in a latent frame.

    Returns:
        [..., 1 + (T - 1) / stride, D].
    """
    first = torch.cat([repeat(x[..., :1, :], "... 1 d -> ... s d", s=stride), x[..., 1:, :]], -2)
    seen = torch.cat(
        [repeat(reduce_visible[..., :1], "... 1 -> ... s", s=stride), reduce_visible[..., 1:]], -1
    )
    windows = first.unflatten(-2, (-1, stride))
    weight = seen.unflatten(-1, (-1, stride)).to(x.dtype)
    total = weight.sum(-1, keepdim=True)
    weight = torch.where(total > 0, weight / total.clamp(min=1e-6), 1.0 / stride)
    return (windows * weight[..., None]).sum(-2)
