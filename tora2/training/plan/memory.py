"""Bytes on a GPU, by kind, at every moment of a run that could be the worst."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..counting import ACTIVATIONS, COPIES, GRADIENTS
from .step import MOMENTS, StepCount

FROZEN, TRAINED, OPTIMIZER, AVERAGE = "frozen weights", "trained weights", "Adam's moments", "EMA"
GATHERED, REDUCED, CLIPS, AUTOENCODER = "gathered weights", "reduction", "clips", "autoencoder"
PICTURE, REDUCE, VALIDATION = "flow pictures", "reduction of gradients", "validation"
KINDS = (
    FROZEN,
    TRAINED,
    GATHERED,
    COPIES,
    GRADIENTS,
    REDUCED,
    OPTIMIZER,
    AVERAGE,
    ACTIVATIONS,
    CLIPS,
    AUTOENCODER,
)
_FLOAT, _HALF = 4, 2
_EIGHT_BIT_BLOCK = 256  # numbers that share a scale in torchao's moments
_BLOCKS_AT_ONCE = 3  # one that computes, the next one, and the buffer that it arrives in


@dataclass(frozen=True)
class Weights:
    """Parameters of a model and how they lie in memory.

    Attributes:
        parts: number of parameters by part, those that are frozen and those that are trained.
        frozen: bytes of the frozen ones; `blocks` of those in the backbone's blocks, which are
            `layers`.
        around: number of frozen parameters that are in no block.
        cast: bytes in bfloat16 of one block's weights that lie in 8 bits.
        half: whether what is trained is computed with in bfloat16.
        eight_bit: whether Adam's moments are held in 8 bits.
        averaged: whether there is an average of what is trained.
        autoencoder: bytes of the one that draws flow pictures.
    """

    parts: dict[str, tuple[int, int]]
    frozen: int
    blocks: int
    layers: int
    around: int = 0
    cast: int = 0
    half: bool = True
    autoencoder: int = 0
    eight_bit: bool = False
    averaged: bool = True

    @property
    def trained(self) -> int:
        """Trained parameters."""
        return sum(trained for _, trained in self.parts.values())

    @property
    def moments(self) -> int:
        """Bytes of Adam's moments."""
        if self.eight_bit:
            return 2 * (self.trained + _FLOAT * self.trained // _EIGHT_BIT_BLOCK)
        return 2 * _FLOAT * self.trained


@dataclass(frozen=True)
class Peaks:
    """What comes and goes in a run.

    Attributes:
        step: of a step; with several GPUs, of parts that are held in bfloat16.
        clips: bytes of a batch.
        encoding, decoding: bytes while a clip's flow picture is encoded, and a validation clip is
            decoded; 0 where that does not happen.
    """

    step: StepCount
    clips: int
    encoding: int = 0
    decoding: int = 0


@dataclass(frozen=True)
class Memory:
    """Bytes a GPU.

    Attributes:
        moments: by kind, of each moment.
    """

    moments: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def worst(self) -> str:
        """The moment with the most bytes."""
        return max(self.moments, key=self.at)

    @property
    def peak(self) -> int:
        """Bytes in that moment."""
        return self.at(self.worst)

    def at(self, moment: str) -> int:
        """Bytes in a moment."""
        return sum(self.moments[moment].values())


def memory(
    weights: Weights,
    peaks: Peaks,
    gpus: int = 1,
    recompute: bool = True,
    accumulate: int = 1,
    copied: bool = False,
) -> Memory:
    """What lies on each of some GPUs.

    With several, weights, moments and averages are divided; the backbone's blocks are gathered one
    at a time, and what is trained once a step, in the type that is computed in; its gradients are
    there in full until they are reduced, in float32.

    Args:
        weights: of the model.
        peaks: of a process.
        gpus: number of processes.
        recompute: whether blocks are computed again in the backward pass.
        accumulate: batches of a step.
        copied: whether what is reduced is copied first, as gloo does, which CPUs use.
    """
    trained, width = weights.trained, _HALF if weights.half else _FLOAT
    stays = {
        FROZEN: weights.frozen // gpus,
        TRAINED: _FLOAT * trained // gpus,
        OPTIMIZER: weights.moments // gpus,
        AVERAGE: _FLOAT * trained // gpus if weights.averaged else 0,
        CLIPS: peaks.clips,
        AUTOENCODER: weights.autoencoder,
    }
    gathered: dict[str, int] = {}
    if gpus > 1:
        blocks = _BLOCKS_AT_ONCE * weights.blocks // max(weights.layers, 1)
        gathered = {GATHERED: width * (trained + weights.around) + blocks}
    cast = {COPIES: weights.cast * (1 if recompute else weights.layers)}
    own = {GRADIENTS: _FLOAT * trained // gpus}
    earlier = own if accumulate > 1 else {}  # gradients of the batches before
    moments = {name: _sum(stays, gathered, cast, peaks.step.moments[name]) for name in MOMENTS[:-1]}
    moments[MOMENTS[-1]] = _sum(stays, own)
    if gpus > 1:
        for name in MOMENTS[:-1]:
            moments[name] = _sum(moments[name], earlier)
        # They are copied into one buffer; then they are freed, and what is left of it is this
        # process's share.
        buffer = _FLOAT * trained
        filling = {GRADIENTS: width * trained, REDUCED: buffer}
        reducing = {**own, REDUCED: 2 * buffer if copied else buffer}
        most = max(filling, reducing, key=lambda held: sum(held.values()))
        moments[REDUCE] = _sum(stays, earlier, most)
    if peaks.encoding:
        moments[PICTURE] = _sum(stays, gathered, earlier, {ACTIVATIONS: peaks.encoding})
    if peaks.decoding:
        moments[VALIDATION] = _sum(stays, gathered, {ACTIVATIONS: peaks.decoding})
    return Memory({name: {k: by[k] for k in KINDS if by.get(k)} for name, by in moments.items()})


def _sum(*parts: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, size in part.items():
            total[name] = total.get(name, 0) + size
    return total
