"""Hyper-parameters of an adapter, and the presets."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from .personalization import EXTRACTORS

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
