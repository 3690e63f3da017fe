"""The Tora2 adapter: every part that stands beside the frozen transformer."""

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from .binding import (
    GatedSelfAttention,
    LinearBinding,
    MotionTokenizer,
    TrackSplat,
    latent_windows,
    masked_mean,
)
from .motion import MotionGuidanceFuser, TrajectoryExtractor
from .personalization import (
    EXTRACTORS,
    DecoupledPersonalizationExtractor,
    LinearExtractor,
    PersonalizationCrossAttention,
)

CAPABILITIES = ("motion", "appearance", "binding")
BINDERS = ("none", "linear", "gated")
ORDERS = ("motion_first", "personalization_first")


@dataclass(frozen=True)
class Tora2Config:
    """Hyper-parameters of an adapter; the defaults are the preset `5b` (CogVideoX-5B).

    Attributes:
        dim: channels of the transformer's tokens; `layers` its blocks.
        latent_channels: channels of the motion latent.
        word_dim: channels of the text encoder's tokens.
        feature_dim: channels of a motion feature; `extractor_blocks` residual blocks a layer.
        semantic_dim, face_dim, object_dim: what the picture encoders give.
        qformer_dim, queries, qformer_depth, qformer_heads: the Q-Former.
        prior_tokens: tokens that an appearance adapter makes of an identity vector.
        binder: `none`, `linear` or `gated` (Table 3).
        binder_heads: attention heads of the gated self-attention.
        splat_sigma: footprint of a track on the motion features, in tokens.
        context_dim: channels of the personalization embeddings that the cross-attention reads.
        attention_dim, attention_heads: width of the personalization cross-attention.
        attention_interval: every how many blocks one is placed.
        order: `motion_first` (motion, text, personalization; Table 5) or `personalization_first`.
        contrastive_dim: width of the two heads of Eq. 6.
        capabilities: which parts exist, of `motion`, `appearance`, `binding`.
        extractor: `dpe`, or one of Table 2's ablations `dino`, `dino_reid`, `dino_reid_face`.
    """

    dim: int = 3072
    layers: int = 42
    latent_channels: int = 16
    word_dim: int = 4096
    feature_dim: int = 128
    extractor_blocks: int = 2
    semantic_dim: int = 1024
    face_dim: int = 512
    object_dim: int = 1024
    qformer_dim: int = 1024
    queries: int = 32
    qformer_depth: int = 6
    qformer_heads: int = 16
    prior_tokens: int = 4
    binder: str = "gated"
    binder_heads: int = 16
    splat_sigma: float = 1.75
    context_dim: int = 2048
    attention_dim: int = 2048
    attention_heads: int = 16
    attention_interval: int = 2
    order: str = "motion_first"
    contrastive_dim: int = 256
    capabilities: tuple[str, ...] = CAPABILITIES
    extractor: str = "dpe"

    def __post_init__(self) -> None:
        if self.binder not in BINDERS:
            raise ValueError(f"binder {self.binder!r} is unknown; expected one of {BINDERS}")
        if self.order not in ORDERS:
            raise ValueError(f"order {self.order!r} is unknown; expected one of {ORDERS}")
        if self.extractor not in EXTRACTORS:
            raise ValueError(
                f"extractor {self.extractor!r} is unknown; expected one of {EXTRACTORS}"
            )
        for width, heads in (
            ("attention_dim", "attention_heads"),
            ("qformer_dim", "qformer_heads"),
            ("qformer_dim", "binder_heads"),
        ):
            if getattr(self, width) % getattr(self, heads):
                raise ValueError(
                    f"{width} is {getattr(self, width)}, expected a multiple of {heads}, "
                    f"which is {getattr(self, heads)}"
                )
        object.__setattr__(self, "capabilities", tuple(self.capabilities))
        unknown = set(self.capabilities) - set(CAPABILITIES)
        if unknown or not self.capabilities:
            raise ValueError(
                f"capabilities {self.capabilities!r} are not known; expected some of {CAPABILITIES}"
            )
        if "binding" in self.capabilities and len(self.capabilities) < 3:
            raise ValueError("the capability 'binding' needs 'motion' and 'appearance' beside it")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "Tora2Config":
        """`5b` or `tiny`, with fields changed."""
        if name not in PRESETS:
            raise ValueError(f"preset {name!r} is unknown; expected one of {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Tora2Config":
        """Inverse of `to_dict`; unknown fields are refused with a ValueError."""
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(f"adapter configuration has unknown fields {sorted(unknown)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


PRESETS = {
    "5b": Tora2Config(),
    "tiny": Tora2Config(
        dim=192,
        layers=6,
        word_dim=128,
        feature_dim=64,
        extractor_blocks=1,
        semantic_dim=96,
        face_dim=96,
        object_dim=96,
        qformer_dim=128,
        queries=8,
        qformer_depth=2,
        qformer_heads=4,
        prior_tokens=2,
        binder_heads=4,
        splat_sigma=0.8,
        context_dim=128,
        attention_dim=192,
        attention_heads=3,
        attention_interval=1,
        contrastive_dim=64,
    ),
}


class EntityBatch(NamedTuple):
    """The entities of a batch of clips, padded to N entities, R pictures, K tracks, L tokens.

    Attributes:
        semantic: [B, N, R, S, semantic_dim].
        face: [B, N, R, face_dim]; object: [B, N, R, object_dim]; zeros on the other branch.
        is_face: [B, N, R] bool.
        picture_mask: [B, N, R] bool.
        words: [B, N, L, word_dim]; word_mask: [B, N, L] bool.
        points: [B, N, K, T, 2] at every video frame, normalised (x, y); visible: [B, N, K, T] bool.
        track_mask: [B, N, K] bool.
        strength: [B, N]; 0 is the same as an entity that is absent.
    """

    semantic: Tensor
    face: Tensor
    object: Tensor
    is_face: Tensor
    picture_mask: Tensor
    words: Tensor
    word_mask: Tensor
    points: Tensor
    visible: Tensor
    track_mask: Tensor
    strength: Tensor

    @property
    def has_picture(self) -> Tensor:
        """[B, N] bool."""
        return self.picture_mask.any(-1) & (self.strength != 0)

    @property
    def has_track(self) -> Tensor:
        """[B, N] bool."""
        return self.track_mask.any(-1) & (self.strength != 0)

    @property
    def has_word(self) -> Tensor:
        """[B, N] bool."""
        return self.word_mask.any(-1) & (self.strength != 0)


class Encoded(NamedTuple):
    """What the adapter makes of a batch, once per clip.

    Attributes:
        features: one [B * T, F, H, W] a block, binding splatted onto them; None without motion.
        p: [B, N * queries, context_dim] personalization embeddings; None without pictures.
        p_mask: [B, N * queries] bool; p_strength: [B, N * queries].
        pairs: contrastive heads of entities with picture and track, [E, contrastive_dim] each.
        clip: [E] which clip of the batch each pair comes from.
    """

    features: list[Tensor] | None
    p: Tensor | None
    p_mask: Tensor | None
    p_strength: Tensor | None
    pairs: tuple[Tensor, Tensor] | None
    clip: Tensor | None


class Tora2Adapter(nn.Module):
    """Owns the trajectory extractor, fusers, DPE, binder, splat and cross-attentions.

    Modules that a configuration does not need are None, so a file with Tora's motion parts alone
    gives an adapter whose `capabilities` are {"motion"}.
    """

    extractor: TrajectoryExtractor | None
    personalization: DecoupledPersonalizationExtractor | LinearExtractor | None
    binder: GatedSelfAttention | LinearBinding | None

    def __init__(self, config: Tora2Config) -> None:
        super().__init__()
        self.config = c = config
        motion, appearance, binding = (part in c.capabilities for part in CAPABILITIES)
        self.extractor = None
        self.fuser = nn.ModuleList()
        if motion:
            self.extractor = TrajectoryExtractor(
                c.latent_channels, c.feature_dim, c.layers, c.extractor_blocks
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
        """Tora's motion features of a latent [B, C, T, H, W]: `layers` of [B * T, F, H/2, W/2]."""
        if self.extractor is None:
            raise ValueError(
                "this adapter has no motion parts, so trajectories cannot be used with it"
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
        points = latent_windows(entities.points, visible)
        ones = torch.ones_like(visible)
        weight = latent_windows(visible[..., None], ones).squeeze(-1)
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
