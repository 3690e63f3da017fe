"""Settings of the bundled model's training, as `configs/tiny.yaml` gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from ....data.spritebind import SpriteBindConfig
from ....encoders.tiny import TinyEncoderConfig
from ....fields import integer, number
from ....geometry import COGVIDEOX
from ....models.autoencoder import PatchAutoencoderConfig
from ....settings import Within, load
from ...autoencoder import COGVIDEOX_2B_SCALE, AutoencoderTraining
from ...drops import Drops
from ...objectives.denoising import DenoisingSettings
from ...optimizer import Optimization, Positive, Rate, Steps
from .decoder import DecoderTraining

_HEAD_QUARTERS = 4


@dataclass(frozen=True)
class TransformerShape:
    """The tiny CogVideoX: heads of 64 channels, blocks, text width and length."""

    heads: Annotated[int, Within(1, 48)] = 3
    layers: Annotated[int, Within(1, 64)] = 6
    time_dim: Annotated[int, Within(2, 4096)] = 128
    text_dim: Annotated[int, Within(4, 4096)] = 128
    text_tokens: Annotated[int, Within(2, 512)] = 24
    text_layers: Annotated[int, Within(1, 64)] = 2

    def __post_init__(self) -> None:
        if self.text_dim % _HEAD_QUARTERS:
            raise ValueError(
                f"text_dim is {self.text_dim}, expected a multiple of {_HEAD_QUARTERS}"
            )

    @property
    def dim(self) -> int:
        """Channels of the tokens."""
        return self.heads * 64


@dataclass(frozen=True)
class TinyOptimization(Optimization, DenoisingSettings):
    """One section of the file: the optimisation, the losses' weights, and what is watched.

    Attributes:
        gate_learning_rate: of the binder's scalar gates: at the rate of matrices a scalar that
            starts at zero could not move far enough.
        matrices: what moves the weights of linear layers: AdamW, or Muon (Jordan et al., 2024),
            which learns more from a step and is for one process.
        log_every: steps between two lines of the log.
        evaluate_every: steps between two measurements of `evaluate_clips` held-out clips; 0: none.
    """

    gate_learning_rate: Rate = 5e-3
    matrices: Literal["adamw", "muon"] = "adamw"
    log_every: Positive = 20
    evaluate_every: Steps = 500
    evaluate_clips: Annotated[int, Within(1, 100_000)] = 16


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        output: folder of checkpoints, curves and the finished model.
        device: "auto" is the GPU where there is one.
        clips: folder of SpriteBind's clips in shards, all of which are encoded once; without one
            the clips are drawn.
        damaged: share of the clips in shards that may be damaged.
        pool: number of clips that are drawn and encoded once; with `pool_growth`, `pool_start` of
            them before the first step and so many more a step.
        workers: processes that draw clips.
        autoencoder_from: folder of a finished autoencoder to use in place of training one.
        weights_from: folder of a finished model of the same parts to begin with, its autoencoder
            included, in place of parts from nothing.
        backbone_from: folder of a finished model whose transformer, encoders and autoencoder are
            taken and stay as they are: the adapter alone is trained, as the paper's.
        pool_from: file of encoded clips in place of the output's own; made if it is missing.
        decoder_training: a last stage after all others; it begins anew if a run is resumed in it.
        adapter: fields of `Tora2Config` that differ from the preset `tiny`.
    """

    output: str
    recipe: Literal["tiny"] = "tiny"
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    device: str = "auto"
    clips: str | None = None
    damaged: Annotated[float, Within(0, 1)] = 0.01
    pool: Annotated[int, Within(1, 10_000_000)] = 6000
    pool_start: Annotated[int, Within(1, 10_000_000)] = 2000
    pool_growth: Annotated[float, Within(0, 65536)] = 0.0
    workers: Annotated[int, Within(0, 256)] = 1
    data: SpriteBindConfig = field(default_factory=SpriteBindConfig)
    autoencoder: PatchAutoencoderConfig = field(
        default_factory=lambda: PatchAutoencoderConfig(scaling_factor=COGVIDEOX_2B_SCALE)
    )
    autoencoder_training: AutoencoderTraining = field(default_factory=AutoencoderTraining)
    autoencoder_from: str | None = None
    weights_from: str | None = None
    backbone_from: str | None = None
    pool_from: str | None = None
    encoder: TinyEncoderConfig = field(default_factory=TinyEncoderConfig)
    transformer: TransformerShape = field(default_factory=TransformerShape)
    adapter: dict[str, Any] = field(default_factory=dict)
    drops: Drops = field(default_factory=Drops)
    decoder_training: DecoderTraining = field(default_factory=DecoderTraining)
    optimization: TinyOptimization = field(default_factory=TinyOptimization)

    def __post_init__(self) -> None:
        autoencoder = self.autoencoder
        integer(self.encoder.dim, "encoder.dim", 2, 4096)
        integer(autoencoder.width, "autoencoder.width", 1, 4096)
        integer(autoencoder.layers, "autoencoder.layers", 1, 64)
        integer(autoencoder.pixel_channels, "autoencoder.pixel_channels", 1, 1024)
        number(autoencoder.scaling_factor, "autoencoder.scaling_factor", 1e-6, 1e6)
        for what, value, expected in (
            ("encoder.picture", self.encoder.picture, self.data.picture),
            ("autoencoder.latent_channels", autoencoder.latent_channels, COGVIDEOX.channels),
        ):
            if value != expected:
                raise ValueError(f"key {what!r} is {value}; expected {expected}")
        crop = self.autoencoder_training.crop
        if crop > self.data.size:
            raise ValueError(
                f"key 'autoencoder_training.crop' is {crop}; expected at most data.size, "
                f"which is {self.data.size}"
            )
        if self.clips and self.data.window:
            raise ValueError(
                "keys 'clips' and 'data.window' are both set; shards are of whole clips"
            )
        if self.decoder_training.steps:
            for key, source, why in (
                ("clips", self.clips, "that stage draws its clips"),
                ("backbone_from", self.backbone_from, "that autoencoder stays as it is"),
            ):
                if source:
                    raise ValueError(
                        f"keys {key!r} and 'decoder_training.steps' are both set; {why}, expected "
                        f"one of them"
                    )
        sources = ("autoencoder_from", "weights_from", "backbone_from")
        given = [repr(key) for key in sources if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(
                f"keys {' and '.join(given)} are both set; each brings an autoencoder, expected one"
            )


def load_config(path: Path | str) -> TrainConfig:
    """Read a YAML training configuration.

    Raises:
        ValueError: names the file and the key that is unknown or whose value cannot be taken.
    """
    return load(TrainConfig, path)
