"""Settings of an adapter's training, as `configs/tora2.yaml` gives them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from ....fields import show
from ....models.config import PRESETS, Tora2Config
from ....settings import Within, changed, load
from ...drops import EntityDrops
from ...objectives.denoising import DenoisingSettings, Weight
from ...optimizer import Optimization, Positive, Rate, Share, Steps
from .parts import PARTS

MAX_STAGES = 16


@dataclass(frozen=True)
class Base:
    """The frozen video model.

    Attributes:
        transformer: any public layout of a CogVideoX or Tora transformer; "tiny" is the bundled
            one.
        autoencoder: folder of its autoencoder, which draws flow pictures into latents and shows
            validation clips; by default the folder `vae` beside the transformer's.
        dtype: of the weights in memory; `fp8` keeps them in 8 bits and computes in bfloat16.
        recompute: compute each block's activations again in the backward pass, in place of keeping
            them.
        tiled: encode and decode in tiles, which needs less memory.
    """

    transformer: str
    autoencoder: str | None = None
    dtype: Literal["bf16", "fp32", "fp8"] = "bf16"
    recompute: bool = True
    tiled: bool = False


@dataclass(frozen=True)
class WarmStart:
    """Weights to begin with.

    Attributes:
        motion: Tora's motion parts in any public layout, or an adapter of ours.
        appearance: ConsisID's transformer, whose cross-attention and perceiver are taken where
            their shapes fit.
    """

    motion: str | None = None
    appearance: str | None = None


@dataclass(frozen=True)
class MotionSource:
    """What the motion latent is made of.

    Attributes:
        source: `tracks`, drawn from the clip's tracks that were not dropped; `dense`, the clip's
            own optical flow (Tora's first stage); `sparse`, up to `points` points of it that are
            drawn with a probability proportional to their speed (Tora's second stage).
        mode: of `tora2.trajectory.flow.flow_map`.
        sigma: radius of a track on the flow picture, in pixels.
        points, spacing: of `sparse`, candidates on a grid of so many pixels.
        estimator: of the flow that `sparse` reads from the clip's frames; `weights` are raft's.
    """

    source: Literal["tracks", "dense", "sparse"] = "tracks"
    mode: Literal["subpixel", "tora"] = "subpixel"
    sigma: Annotated[float, Within(0.1, 1000)] = 10.0
    points: Annotated[int, Within(1, 512)] = 16
    spacing: Annotated[int, Within(1, 1024)] = 32
    estimator: Literal["farneback", "raft"] = "farneback"
    weights: str | None = None


@dataclass(frozen=True)
class Stage:
    """A part of the run; the next one begins with what it has made, and fresh moments.

    Attributes:
        name: names its checkpoints.
        steps: optimiser steps; 0 for `optimization.steps`.
        train: which parts get gradients.
        contrastive: whether the contrastive loss counts (Eq. 7).
        drops: probabilities of dropping conditions.
    """

    name: str = "all"
    steps: Steps = 0
    train: tuple[str, ...] = tuple(PARTS)
    contrastive: bool = True
    drops: EntityDrops = field(default_factory=EntityDrops)

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.replace("-", "").replace("_", "").isalnum()):
            raise ValueError(f"stage {show(self.name)}; expected a name of letters, digits, - or _")
        unknown = [name for name in self.train if name not in PARTS]
        if unknown or not self.train:
            raise ValueError(
                f"stage {show(self.name)} trains {show(list(self.train))}; "
                f"expected some of {', '.join(PARTS)}"
            )


@dataclass(frozen=True)
class AdapterOptimization(Optimization):
    """The optimisation, and rates by what parameters are.

    Attributes:
        learning_rate: of new parts; `pretrained_learning_rate` of the trajectory extractor and the
            fusers, `gate_learning_rate` of the binder's scalar gates, which at the rate of matrices
            could not move far enough from zero.
        contrastive_weight: λ of Eq. 7; `temperature` τ and `reduction` as in `contrastive_loss`.
        log_every: steps between two lines of the log.
    """

    steps: Positive = 15_000
    learning_rate: Rate = 1e-4
    pretrained_learning_rate: Rate = 3e-6
    gate_learning_rate: Rate = 1e-3
    final_learning_rate: Share = 1.0
    warmup: Steps = 200
    weight_decay: Rate = 1e-4
    betas: tuple[Share, Share] = (0.9, 0.95)
    ema: Share = 0.999
    contrastive_weight: Weight = 0.2
    temperature: Annotated[float, Within(1e-6, 1e6)] = 0.07
    reduction: Literal["mean", "sum"] = "mean"
    log_every: Positive = 10


@dataclass(frozen=True)
class Validation:
    """Clips that are sampled now and then.

    Attributes:
        every: steps between two looks, of which the first is before the first step; 0: none.
        clips: how many, the first ones of the set.
        folder: of another set with its cache; by default the set that is trained on.
        steps, guidance, seed: of the sampling.
        tracker: how their motion is measured: `colour` follows the main colour of an entity's
            pictures, which SpriteBind's are made for.
    """

    every: Steps = 500
    clips: Annotated[int, Within(1, 64)] = 4
    folder: str | None = None
    steps: Annotated[int, Within(1, 1000)] = 25
    guidance: Annotated[float, Within(0, 50)] = 6.0
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    tracker: Literal["none", "colour"] = "none"


@dataclass(frozen=True)
class AdapterTraining:
    """One run that makes an adapter for a frozen video model.

    Attributes:
        output: folder of checkpoints, videos, curves and the finished adapter.
        clips: folder of the clips, with the cache that `precompute` made.
        preset: of the adapter's sizes; `adapter` are fields that differ. Those that follow from
            the transformer and the cache are set by them.
        damaged: share of the clips that may be damaged.
        export: type of the finished adapter's weights.
        wandb: project to log to as well, if any.
    """

    output: str
    clips: str
    base: Base
    recipe: Literal["adapter"] = "adapter"
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    device: str = "auto"
    preset: str = "5b"
    adapter: dict[str, Any] = field(default_factory=dict)
    warm_start: WarmStart = field(default_factory=WarmStart)
    motion: MotionSource = field(default_factory=MotionSource)
    stages: tuple[Stage, ...] = (Stage(),)
    optimization: AdapterOptimization = field(default_factory=AdapterOptimization)
    validation: Validation = field(default_factory=Validation)
    damaged: Share = 0.01
    export: Literal["bf16", "fp16", "fp32"] = "bf16"
    tensorboard: bool = False
    wandb: str | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            known = ", ".join(PRESETS)
            raise ValueError(f"key 'preset' is {show(self.preset)}; expected one of {known}")
        names = [stage.name for stage in self.stages]
        if not 0 < len(names) <= MAX_STAGES or len(set(names)) < len(names):
            raise ValueError(
                f"key 'stages' has the names {show(names)}; "
                f"expected 1 to {MAX_STAGES} stages of different names"
            )
        batch, many = self.optimization.batch, self.optimization.accumulate
        if batch % many:
            raise ValueError(
                f"key 'optimization.batch' is {batch}; expected a multiple of "
                f"optimization.accumulate, which is {many}"
            )
        if (self.base.dtype == "fp32") != (self.optimization.precision == "fp32"):
            raise ValueError(
                f"key 'base.dtype' is {self.base.dtype!r} and optimization.precision "
                f"{self.optimization.precision!r}; expected fp32 for both or for neither"
            )
        if self.optimization.cooldown and len(names) > 1:
            raise ValueError("key 'optimization.cooldown' is for a run of one stage")
        self.adapter_config()

    def adapter_config(self, **widths: int) -> Tora2Config:
        """The adapter's configuration, some widths being those of other parts.

        Raises:
            ValueError: if a field is unknown, out of bounds, or another width than it must be.
        """
        for name, width in widths.items():
            if self.adapter.get(name, width) != width:
                raise ValueError(
                    f"key {'adapter.' + name!r} is {show(self.adapter[name])}; it is {width}, "
                    "which follows from the transformer and the cache"
                )
        made = changed(Tora2Config.preset(self.preset), {**self.adapter, **widths}, "adapter.")
        for stage in self.stages:
            for part in stage.train:
                if not PARTS[part].exists(made) and stage.train != tuple(PARTS):
                    raise ValueError(
                        f"stage {show(stage.name)} trains the part {part!r}, "
                        "which this adapter does not have"
                    )
        return made

    def stage_optimization(self, stage: Stage) -> AdapterOptimization:
        """The optimisation with a stage's own number of steps."""
        return replace(self.optimization, steps=stage.steps or self.optimization.steps)

    def losses(self, stage: Stage) -> DenoisingSettings:
        """The weights of a stage's losses."""
        o = self.optimization
        return DenoisingSettings(
            region_weight=0.0,
            contrastive_weight=o.contrastive_weight if stage.contrastive else 0.0,
            temperature=o.temperature,
            reduction=o.reduction,
        )

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages together."""
        return sum(self.stage_optimization(stage).steps for stage in self.stages)


def load_config(path: Path | str) -> AdapterTraining:
    """Read a YAML training configuration.

    Raises:
        ValueError: names the file and the key that is unknown or whose value cannot be taken.
    """
    return load(AdapterTraining, path)
