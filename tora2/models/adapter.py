"""The Tora2 adapter: every part that stands beside the frozen transformer."""

from typing import cast

import torch
from torch import Tensor, nn

from ..geometry import COGVIDEOX, Grid
from .binding import (
    GatedSelfAttention,
    LinearBinding,
    MotionTokenizer,
    TrackSplat,
    latent_windows,
    masked_mean,
)
from .config import CAPABILITIES, Tora2Config
from .entities import Encoded, EntityBatch
from .motion import MotionGuidanceFuser, TrajectoryExtractor
from .personalization import (
    DecoupledPersonalizationExtractor,
    LinearExtractor,
    PersonalizationCrossAttention,
)

__all__ = ["Encoded", "EntityBatch", "Tora2Adapter", "Tora2Config"]


class Tora2Adapter(nn.Module):
    """Owns the trajectory extractor, fusers, DPE, binder, splat and cross-attentions.

    Modules that a configuration does not need are None, so a file with Tora's motion parts alone
    gives an adapter whose `capabilities` are {"motion"}.

    Args:
        config: sizes and parts.
        grid: latent geometry of the backbone it stands beside.
    """

    extractor: TrajectoryExtractor | None
    personalization: DecoupledPersonalizationExtractor | LinearExtractor | None
    binder: GatedSelfAttention | LinearBinding | None

    def __init__(self, config: Tora2Config, grid: Grid = COGVIDEOX) -> None:
        super().__init__()
        self.config = c = config
        self.grid = grid
        motion, appearance, binding = (part in c.capabilities for part in CAPABILITIES)
        self.extractor = None
        self.fuser = nn.ModuleList()
        if motion:
            self.extractor = TrajectoryExtractor(
                c.latent_channels, c.feature_dim, c.layers, c.extractor_blocks, grid.patch
            )
            self.fuser.extend(MotionGuidanceFuser(c.dim, c.feature_dim) for _ in range(c.layers))
        self.personalization = None
        self.cross_attention = nn.ModuleDict()
        if appearance:
            widths = (c.semantic_dim, c.face_dim, c.object_dim, c.qformer_dim)
            if c.extractor == "dpe":
                self.personalization = DecoupledPersonalizationExtractor(
                    *widths, c.queries, c.qformer_depth, c.qformer_heads, c.prior_tokens
                )
            else:
                self.personalization = LinearExtractor(*widths, c.extractor, c.prior_tokens)
            self.to_context = nn.Linear(c.qformer_dim, c.context_dim)
            for layer in range(0, c.layers, c.attention_interval):
                self.cross_attention[str(layer)] = PersonalizationCrossAttention(
                    c.dim, c.context_dim, c.attention_heads, c.attention_dim
                )
        self.binder = None
        if motion and appearance:
            self.motion_tokens = MotionTokenizer(c.feature_dim, c.qformer_dim)
            self.contrastive_p = nn.Linear(c.qformer_dim, c.contrastive_dim, bias=False)
            self.contrastive_m = nn.Linear(c.qformer_dim, c.contrastive_dim, bias=False)
        if binding and c.binder != "none":
            nulls = c.queries if c.extractor == "dpe" else 1
            self.null_p = nn.Parameter(torch.randn(nulls, c.qformer_dim) * 0.02)
            self.null_m = nn.Parameter(torch.randn(1, c.qformer_dim) * 0.02)
            self.splat = TrackSplat(c.qformer_dim, c.feature_dim, c.layers, c.splat_sigma)
            if c.binder == "gated":
                self.binder = GatedSelfAttention(c.qformer_dim, c.word_dim, c.binder_heads)
            else:
                self.binder = LinearBinding(c.qformer_dim, c.word_dim)

    @property
    def capabilities(self) -> frozenset[str]:
        """The parts this adapter has: some of `motion`, `appearance`, `binding`."""
        missing = {"binding"} if self.binder is None else set()
        return frozenset(self.config.capabilities) - missing

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def motion_features(self, motion_latent: Tensor) -> list[Tensor]:
        """Tora's motion features of a latent: a map of its tokens a block.

        Args:
            motion_latent: [B, C, T, H, W], already scaled.

        Returns:
            `layers` tensors [B * T, F, rows, columns].

        Raises:
            ValueError: if there are no motion parts, or the latent has other channels.
        """
        if self.extractor is None:
            raise ValueError(
                "this adapter has no motion parts, so trajectories cannot be used with it"
            )
        channels = self.config.latent_channels
        if motion_latent.ndim != 5 or motion_latent.shape[1] != channels:
            raise ValueError(
                f"the motion latent has the shape {tuple(motion_latent.shape)}, "
                f"expected [B, {channels}, T, H, W]"
            )
        return self.extractor(motion_latent)

    def forward(self, motion_latent: Tensor | None, entities: EntityBatch | None) -> Encoded:
        """Everything that does not depend on the noise level.

        Args:
            motion_latent: [B, C, T, H, W], already scaled; None without trajectories.
            entities: the entities of the same B clips, or None.

        Raises:
            ValueError: if the adapter lacks a part that an input needs, or entities have tracks
                and there is no motion latent to gather them from.
        """
        features = None if motion_latent is None else self.motion_features(motion_latent)
        if entities is None:
            return Encoded(features, None, None, None, None, None)
        if self.personalization is None and bool(entities.has_picture.any()):
            raise ValueError(
                "this adapter has no appearance parts, so reference pictures cannot be used with it"
            )
        if features is None and bool(entities.has_track.any()):
            raise ValueError("entities have tracks but there is no motion latent")
        return self._bind(features, entities)

    def _bind(self, features: list[Tensor] | None, entities: EntityBatch) -> Encoded:
        has_p, has_m = entities.has_picture, entities.has_track
        p = self._personalize(entities, has_p)  # [B, N, Q, D] or None
        m = points = weight = None
        if features is not None and self.personalization is not None and bool(has_m.any()):
            points, weight = self._latent_tracks(entities)
            m = self._motion_tokens(features, points, weight)  # [B, N, K, T, D]
        if self.binder is not None and (p is not None or m is not None):
            p_bound, m_bound = self._apply_binder(p, m, entities)
            if features is not None and m is not None and points is not None and weight is not None:
                features = self._splat_back(features, m_bound - m, points, weight, entities)
            p, m = (None if p is None else p_bound), (None if m is None else m_bound)
        pairs = clip = None
        both = has_p & has_m
        if p is not None and m is not None and bool(both.any()):
            pairs, clip = self._contrastive_pairs(p, m, weight, entities, both)
        if p is None:
            return Encoded(features, None, None, None, pairs, clip)
        return Encoded(
            features,
            self.to_context(p).flatten(1, 2),
            has_p.repeat_interleave(p.shape[2], dim=1),
            entities.strength.repeat_interleave(p.shape[2], dim=1).to(p.dtype),
            pairs,
            clip,
        )

    def _personalize(self, entities: EntityBatch, has_p: Tensor) -> Tensor | None:
        if self.personalization is None or not bool(has_p.any()):
            return None
        rows = has_p.nonzero(as_tuple=True)
        p = self.personalization(
            entities.semantic[rows],
            entities.face[rows],
            entities.object[rows],
            entities.is_face[rows],
            entities.picture_mask[rows],
        )
        empty = p.new_zeros(*has_p.shape, *p.shape[1:])
        return empty.index_put(rows, p)

    def _latent_tracks(self, entities: EntityBatch) -> tuple[Tensor, Tensor]:
        """Points [B, N, K, T_l, 2] and weights [B, N, K, T_l] at latent frames."""
        visible = (entities.visible & entities.track_mask[..., None]).to(entities.points.dtype)
        stride = self.grid.temporal
        points = latent_windows(entities.points, visible, stride)
        ones = torch.ones_like(visible)
        weight = latent_windows(visible[..., None], ones, stride).squeeze(-1)
        return points, weight

    def _motion_tokens(self, features: list[Tensor], points: Tensor, weight: Tensor) -> Tensor:
        batch, entities, tracks, frames = weight.shape
        if features[0].shape[0] != batch * frames:
            raise ValueError(
                f"tracks have {frames} latent frames a clip but the motion latent has "
                f"{features[0].shape[0] / batch:g}"
            )
        mean = torch.stack(features).mean(0).unflatten(0, (batch, frames))
        tokens = self.motion_tokens(mean, points.flatten(1, 2), weight.flatten(1, 2))
        return cast(Tensor, tokens.unflatten(1, (entities, tracks)))

    def _apply_binder(
        self, p: Tensor | None, m: Tensor | None, entities: EntityBatch
    ) -> tuple[Tensor, Tensor]:
        assert self.binder is not None
        batch, count = entities.strength.shape
        has_p, has_m = entities.has_picture, entities.has_track
        if p is None:
            p = self.null_p.expand(batch, count, -1, -1)
        else:
            p = torch.where(has_p[..., None, None], p, self.null_p)
        shape = (batch, count, 1, 1, self.null_m.shape[-1]) if m is None else m.shape
        if m is None:
            m = self.null_m.expand(shape)
        else:
            m = torch.where(has_m[..., None, None, None], m, self.null_m)
        # A single null token stands for a missing track; padding of shorter track lists is masked.
        present = entities.track_mask[..., None].expand(m.shape[:-1]).clone()
        present[..., 0, 0] |= ~has_m
        # An entity that is bound to nothing else than itself stays as it is.
        active = (has_p.int() + has_m.int() + entities.has_word.int()) >= 2
        if not bool(active.any()):
            return p, m
        rows = active.nonzero(as_tuple=True)
        p_rows, m_rows = self.binder(
            p[rows],
            m[rows].flatten(1, 2),
            entities.words[rows],
            present[rows].flatten(1, 2),
            entities.word_mask[rows],
        )
        p_bound = p.clone().index_put(rows, p_rows.to(p.dtype))
        m_bound = m.clone().index_put(rows, m_rows.unflatten(1, m.shape[2:4]).to(m.dtype))
        return p_bound, m_bound

    def _splat_back(
        self,
        features: list[Tensor],
        change: Tensor,
        points: Tensor,
        weight: Tensor,
        entities: EntityBatch,
    ) -> list[Tensor]:
        # Without a picture or a word there is nothing to bind a track to: exactly Tora.
        bound = entities.has_track & (entities.has_picture | entities.has_word)
        if not bool(bound.any()):
            return features
        scale = weight * (bound * entities.strength)[..., None, None]
        height, width = features[0].shape[-2:]
        area = self.splat.footprint(points.flatten(1, 2), scale.flatten(1, 2), (height, width))
        return cast(list[Tensor], self.splat(features, change.flatten(1, 2), area))

    def _contrastive_pairs(
        self, p: Tensor, m: Tensor, weight: Tensor | None, entities: EntityBatch, both: Tensor
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        assert weight is not None
        rows = both.nonzero(as_tuple=True)
        seen = (weight[rows] > 0) & entities.track_mask[rows][..., None]
        m_mean = masked_mean(m[rows].flatten(1, 2), seen.flatten(1, 2))
        return (self.contrastive_p(p[rows].mean(1)), self.contrastive_m(m_mean)), rows[0]
