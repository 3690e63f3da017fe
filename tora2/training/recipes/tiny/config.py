"""Training configuration: a YAML file read into dataclasses, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from ..encoders.tiny import TinyEncoderConfig
from ..models.autoencoder import PatchAutoencoderConfig
from .autoencoder import COGVIDEOX_2B_SCALE, AutoencoderTraining
from .spritebind import SpriteBindConfig

T = TypeVar("T")


@dataclass(frozen=True)
class TransformerShape:
    """The tiny CogVideoX: heads of 64 channels, blocks, text width and length."""

    heads: int = 3
    layers: int = 6
    time_dim: int = 128
    text_dim: int = 128
    text_tokens: int = 24
    text_layers: int = 2


@dataclass(frozen=True)
class Drops:
    """Probabilities of dropping a condition of a clip (section 4.1)."""

    caption: float = 0.50
    references: float = 0.33
    trajectories: float = 0.33


@dataclass(frozen=True)
class Optimization:
    """AdamW with a learning rate for each parameter group.

    Attributes:
        learning_rate: of everything that no other rate is given for.
        gate_learning_rate: of the binder's scalar gates, which need a larger one (METHOD 2.5).
        horizon: steps of the cosine that the rate follows, `steps` if 0; with `cooldown`, the rate
            goes linearly to zero over so many last steps, so that a run may end before its horizon.
        region_weight: λ of the loss weight 1 + λ on latent cells that a sprite touches.
        contrastive_weight: λ of Eq. 7; `temperature` τ and `reduction` as in `contrastive_loss`.
        checkpoint_every: steps between two checkpoints to resume from.
    """

    steps: int = 4000
    batch: int = 32
    learning_rate: float = 1e-3
    gate_learning_rate: float = 5e-3
    final_learning_rate: float = 0.05
    warmup: int = 100
    horizon: int = 0
    cooldown: int = 0
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    ema: float = 0.998
    region_weight: float = 4.0
    contrastive_weight: float = 0.2
    temperature: float = 0.07
    reduction: str = "mean"
    precision: str = "bf16"
    log_every: int = 20
    evaluate_every: int = 500
    evaluate_clips: int = 16
    checkpoint_every: int = 250


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        output: folder of checkpoints, curves and the finished model.
        pool: number of clips that are drawn and encoded once.
        workers: processes that draw clips.
        autoencoder_from: folder of a finished autoencoder to use in place of training one.
        pool_from: file of encoded clips to use in place of drawing and encoding them.
        adapter: fields of `Tora2Config` that differ from the preset `tiny`.
    """

    output: str
    seed: int = 0
    device: str = "auto"
    pool: int = 6000
    workers: int = 1
    data: SpriteBindConfig = field(default_factory=SpriteBindConfig)
    autoencoder: PatchAutoencoderConfig = field(
        default_factory=lambda: PatchAutoencoderConfig(scaling_factor=COGVIDEOX_2B_SCALE)
    )
    autoencoder_training: AutoencoderTraining = field(default_factory=AutoencoderTraining)
    autoencoder_from: str | None = None
    pool_from: str | None = None
    encoder: TinyEncoderConfig = field(default_factory=TinyEncoderConfig)
    transformer: TransformerShape = field(default_factory=TransformerShape)
    adapter: dict[str, Any] = field(default_factory=dict)
    drops: Drops = field(default_factory=Drops)
    optimization: Optimization = field(default_factory=Optimization)


def load_config(path: Path | str) -> TrainConfig:
    """Read a YAML training configuration.

    Raises:
        ValueError: names the file and the key that is unknown or of the wrong type.
    """
    try:
        return read(TrainConfig, read_yaml(path), "")
    except ValueError as error:
        raise ValueError(f"configuration {str(path)!r}: {error}") from None


def read_yaml(path: Path | str) -> Any:
    """The value of a YAML file, read without running anything.

    Raises:
        ValueError: names the file.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"configuration {str(path)!r} does not exist") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"configuration {str(path)!r} is not YAML: {reason}") from None


def read(kind: type[T], values: Any, where: str) -> T:
    """A dataclass from a mapping, field by field and strict about keys and types."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{where or 'the file'} is {values!r}; expected a mapping")
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in values if key not in known)
    if unknown:
        raise ValueError(
            f"key {where + unknown[0]!r} is unknown; expected some of {', '.join(sorted(known))}"
        )
    hints = get_type_hints(kind)
    parsed = {key: _value(hints[key], value, where + key) for key, value in values.items()}
    try:
        return kind(**parsed)
    except TypeError as error:
        raise ValueError(f"{where or 'the file'}: {error}") from None


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, kind):
            return value
        return read(kind, value, where + ".")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        inner = get_args(kind)
        if inner[-1] is Ellipsis:
            return tuple(_value(inner[0], item, where) for item in value)
        if len(inner) == len(value):
            return tuple(_value(k, v, where) for k, v in zip(inner, value, strict=True))
    if get_origin(kind) is dict and isinstance(value, dict):
        return value
    allowed = get_args(kind) or (kind,)
    if any(type(value) is option for option in allowed):
        return value
    names = " or ".join(getattr(option, "__name__", str(option)) for option in allowed)
    raise ValueError(f"key {where!r} is {value!r}; expected {names}")
