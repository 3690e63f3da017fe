"""Hyper-parameters of an adapter, and the presets."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..fields import integer, number, sequence, show
from ..geometry import COGVIDEOX

CAPABILITIES = ("motion", "appearance", "binding")
BINDERS = ("none", "linear", "gated")
ORDERS = ("motion_first", "personalization_first")
EXTRACTORS = ("dino", "dino_reid", "dino_reid_face", "dpe")

MAX_BLOCKS = 2048
"""Residual blocks of a trajectory extractor; the published ones have 84."""
_WIDTH, _HEADS, _LAYERS = (1, 16_384), (1, 256), (1, 1000)
_RANGES = {
    "dim": _WIDTH,
    "layers": _LAYERS,
    "latent_channels": (1, 1024),
    "word_dim": _WIDTH,
    "feature_dim": _WIDTH,
    "extractor_blocks": (1, 16),
    "semantic_dim": _WIDTH,
    "face_dim": _WIDTH,
    "object_dim": _WIDTH,
    "qformer_dim": _WIDTH,
    "queries": (1, 1024),
    "qformer_depth": (1, 64),
    "qformer_heads": _HEADS,
    "prior_tokens": (1, 256),
    "binder_heads": _HEADS,
    "context_dim": _WIDTH,
    "attention_dim": _WIDTH,
    "attention_heads": _HEADS,
    "attention_interval": _LAYERS,
    "contrastive_dim": _WIDTH,
}
_CHOICES = {"binder": BINDERS, "order": ORDERS, "extractor": EXTRACTORS}
_NORM_GROUPS = 32  # of the fusers' group norm


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
    latent_channels: int = COGVIDEOX.channels
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
        for name, (low, high) in _RANGES.items():
            integer(getattr(self, name), name, low, high)
        object.__setattr__(self, "splat_sigma", number(self.splat_sigma, "splat_sigma", 0.01, 1000))
        for name, options in _CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in options:
                raise ValueError(f"{name} {show(value)} is unknown; expected one of {options}")
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
        self._check_capabilities()
        if "motion" not in self.capabilities:
            return
        if self.dim % _NORM_GROUPS:
            raise ValueError(f"dim is {self.dim}, expected a multiple of {_NORM_GROUPS}")
        if self.layers * self.extractor_blocks > MAX_BLOCKS:
            raise ValueError(
                f"extractor_blocks is {self.extractor_blocks} for {self.layers} layers, expected "
                f"at most {MAX_BLOCKS} blocks in all"
            )

    def _check_capabilities(self) -> None:
        names = tuple(sequence(self.capabilities, "capabilities", 1, len(CAPABILITIES)))
        if any(name not in CAPABILITIES for name in names):
            raise ValueError(
                f"capabilities {show(names)} are not known; expected some of {CAPABILITIES}"
            )
        if "binding" in names and len(set(names)) < len(CAPABILITIES):
            raise ValueError("the capability 'binding' needs 'motion' and 'appearance' beside it")
        object.__setattr__(self, "capabilities", names)

    @property
    def enabled(self) -> tuple[str, ...]:
        """What an adapter of this configuration can do: a binder of `none` binds nothing."""
        missing = {"binding"} if self.binder == "none" else set()
        return tuple(c for c in CAPABILITIES if c in self.capabilities and c not in missing)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "Tora2Config":
        """`5b` or `tiny`, with fields changed."""
        if name not in PRESETS:
            raise ValueError(f"preset {name!r} is unknown; expected one of {', '.join(PRESETS)}")
        return cls.from_dict({**PRESETS[name].to_dict(), **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Tora2Config":
        """Inverse of `to_dict`; fields that are absent keep their default.

        Raises:
            ValueError: if a field is unknown, of another type or out of bounds.
        """
        known = cls.__dataclass_fields__
        unknown = [name for name in values if name not in known]
        if unknown:
            raise ValueError(
                f"adapter configuration has unknown fields {show(unknown)}, "
                f"expected some of {', '.join(known)}"
            )
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
