"""Settings of a LoRA's training, as `configs/motion_lora.yaml` gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from ....customization.arms import ARMS
from ....fields import show
from ....settings import Within, load
from ...optimizer import Optimization, Positive, Rate, Share

Rank = Annotated[int, Within(1, 1024)]
Weight = Annotated[float, Within(0, 1e6)]
Arm = Literal["full", "tap", "tap_released"]
assert set(ARMS) == {"full", "tap", "tap_released"}


@dataclass(frozen=True)
class Shown:
    """A clip or a picture.

    Attributes:
        file: of the clip or the picture.
        caption: of what is seen, with the token that is to stand for what is learned.
        appearance: of a clip, a caption of the looks alone: for the appearance-agnostic target.
        subject: of a picture, the words of `caption` that name its subject: for pictures that
            several subjects are composed into.
    """

    file: str
    caption: str
    appearance: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class MotionLora:
    """A motion from a few clips.

    Attributes:
        clips: that show it; none, and no motion is learned.
        arm: which layers are trained, of `tora2.customization.ARMS`.
        video_only: leave the text's tokens as they are where attention is joint. Such a LoRA is
            loaded by Tora2 Load Motion LoRA alone.
        debiased: weight of the debiased loss beside the plain one; 0: without.
        omega: ω of the appearance-agnostic target; 0: the plain one.
        token: the word of the captions that stands for the motion, for who uses the LoRA.
    """

    clips: tuple[Shown, ...] = ()
    arm: Arm = "tap"
    rank: Rank = 32
    video_only: bool = False
    debiased: Weight = 1.0
    omega: Annotated[float, Within(0, 100)] = 0.0
    token: str | None = None

    def __post_init__(self) -> None:
        if self.omega:
            for clip in self.clips:
                if clip.appearance is None:
                    raise ValueError(
                        f"motion.omega is {self.omega:g} but the clip {show(clip.file)} has no "
                        "caption 'appearance', expected one of its looks alone"
                    )


@dataclass(frozen=True)
class SubjectLora:
    """Subjects from a few pictures.

    Attributes:
        pictures: that show them; none, and no subject is learned.
        regularizing: clips of anything else, which keep the model's motion alive.
        regularization: λ of their loss.
        attention: λ of the attention loss on pictures composed of several subjects, where the
            pictures have a `subject`.
        arm, rank, token: as of a motion.
    """

    pictures: tuple[Shown, ...] = ()
    regularizing: tuple[Shown, ...] = ()
    regularization: Weight = 0.25
    attention: Weight = 0.6
    arm: Arm = "full"
    rank: Rank = 32
    token: str | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """The names of the subjects, each once."""
        return tuple(dict.fromkeys(one.subject for one in self.pictures if one.subject))

    def __post_init__(self) -> None:
        for one in self.pictures:
            if one.subject is not None and one.subject not in one.caption:
                raise ValueError(
                    f"the subject {show(one.subject)} is not in the caption {show(one.caption)}, "
                    "expected some of its words"
                )


@dataclass(frozen=True)
class LoraOptimization(Optimization):
    """The optimisation; see `Optimization`.

    Attributes:
        log_every: steps between two lines of the log.
    """

    steps: Positive = 1000
    batch: Annotated[int, Within(1, 64)] = 1
    learning_rate: Rate = 5e-4
    final_learning_rate: Share = 1.0
    warmup: Annotated[int, Within(0, 10**9)] = 10
    weight_decay: Rate = 1e-2
    betas: tuple[Share, Share] = (0.9, 0.999)
    ema: Share = 0.0
    log_every: Positive = 10


@dataclass(frozen=True)
class Customization:
    """One run that makes a motion LoRA, a subject LoRA, or both in turns.

    With both, every step shows either clips or pictures; both LoRAs act, and only the gradients of
    the one that the step is for are kept (DualReal's alternation).

    Attributes:
        output: folder of checkpoints, curves and the finished LoRAs.
        model: folder of the video model with its autoencoder and text encoder; "tiny" is the
            bundled one.
        width, height, frames: of the clips as they are trained on; 0 for the model's own.
        motion_share: share of the steps that show clips, where both are learned.
        recompute: compute each block's activations again in the backward pass.
        tiled: encode in tiles, which needs less memory.
        dtype: of the frozen weights in memory.
    """

    output: str
    model: str
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    device: str = "auto"
    width: Annotated[int, Within(0, 4096)] = 0
    height: Annotated[int, Within(0, 4096)] = 0
    frames: Annotated[int, Within(0, 1025)] = 0
    motion: MotionLora = field(default_factory=MotionLora)
    subject: SubjectLora = field(default_factory=SubjectLora)
    motion_share: Annotated[float, Within(0, 1)] = 0.5
    recompute: bool = True
    tiled: bool = False
    dtype: Literal["bf16", "fp32"] = "bf16"
    export: Literal["bf16", "fp16", "fp32"] = "bf16"
    optimization: LoraOptimization = field(default_factory=LoraOptimization)

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError(
                "there is nothing to learn from, expected motion.clips, subject.pictures or both"
            )
        if len(self.kinds) == 2 and self.optimization.accumulate > 1:
            raise ValueError(
                f"key 'optimization.accumulate' is {self.optimization.accumulate}; expected 1 "
                "where motion and subject are learned in turns"
            )

    @property
    def kinds(self) -> tuple[Literal["motion", "subject"], ...]:
        """What is learned."""
        kinds: list[Literal["motion", "subject"]] = []
        if self.motion.clips:
            kinds.append("motion")
        if self.subject.pictures:
            kinds.append("subject")
        return tuple(kinds)


def load_config(path: Path | str) -> Customization:
    """Read a YAML configuration.

    Raises:
        ValueError: names the file and the key that is unknown or whose value cannot be taken.
    """
    return load(Customization, path)
