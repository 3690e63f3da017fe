"""Segmenters: where what a word names is in a frame. One file each; others can be registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...fields import refuse
from ..candidate import Frames
from ..stage import Need


@dataclass(frozen=True, eq=False)
class Instances:
    """What was found in one frame.

    Attributes:
        masks: bool [N, H, W], as large as the frame.
        scores: [N] from 0 to 1.
    """

    masks: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Setup:
    """What a segmenter is made of.

    Attributes:
        model: folder of its checkpoint; searched if None.
        detector: folder of its detector, for those that have one; searched if None.
        confidence: least score of what is found.
        device: as `device.resolve_device` takes it.
    """

    model: str | None = None
    detector: str | None = None
    confidence: float = 0.3
    device: str = "auto"


class Segmenter(Protocol):
    """Copies of it go to other processes, so it is pickled before `open`."""

    def needs(self) -> Sequence[Need]:
        """What is absent."""
        ...

    def memory(self) -> int:
        """Bytes that a worker takes."""
        ...

    def open(self) -> None:
        """Load what is heavy."""
        ...

    def segment(self, frames: Frames, word: str) -> Sequence[Instances]:
        """Find what a word names.

        Args:
            frames: uint8 [T, H, W, 3] RGB.
            word: such as "red ball".

        Returns:
            T results, one a frame.
        """
        ...


Build = Callable[[Setup], Segmenter]

_registered: dict[str, Build] = {}


def register(name: str, build: Build) -> None:
    """Make a segmenter known, which the setting `masks.segmenter` then takes.

    Args:
        name: what it is called.
        build: makes it; what it makes must be picklable, its class importable.
    """
    _registered[name] = build


def segmenters() -> tuple[str, ...]:
    """The names of all segmenters, whether they can be used here or not."""
    return tuple(sorted({info.name for info in iter_modules(__path__)} | set(_registered)))


def build(name: str, setup: Setup) -> Segmenter:
    """A segmenter by its name, not yet loaded.

    Raises:
        ValueError: if there is none of that name.
    """
    if name in _registered:
        return _registered[name](setup)
    if name not in segmenters():
        raise refuse("segmenter", name, f"one of {', '.join(segmenters())}")
    made: Segmenter = import_module(f".{name}", __name__).build(setup)
    return made
