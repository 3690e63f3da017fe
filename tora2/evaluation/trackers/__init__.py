"""Trackers: where what is at a point of one frame is in all the others. One file each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

import torch
from torch import Tensor

from ...fields import refuse

__all__ = ["Followed", "Query", "Tracker", "check_queries", "load", "trackers"]


@dataclass(frozen=True, eq=False)
class Query:
    """What is to be followed.

    Attributes:
        frame: where it is known.
        x, y: pixels in that frame; 0 is the left and the top edge, so a pixel's centre is at one
            half.
        picture: uint8 [3, H, W] of what it is, for the trackers that go by looks. Queries with the
            same picture (the same tensor) are of the same thing.
    """

    frame: int
    x: float
    y: float
    picture: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Followed:
    """Where it went.

    Attributes:
        points: [N, T, 2] pixels of the video as in `Query`; NaN where it was not found.
        resolution: (height, width) in pixels at which the tracker looked at the video.
    """

    points: Tensor
    resolution: tuple[int, int]


class Tracker(Protocol):
    """A tracker; its module has `load(weights)`, which makes it or says in words what it lacks.

    Attributes:
        name: of its module, and in every report.
        licence: of the code and the weights it uses.
    """

    name: str
    licence: str

    def follow(self, frames: Tensor, queries: Sequence[Query]) -> Followed:
        """Follow every query from its frame to the end of the video, and back to its beginning.

        Args:
            frames: uint8 [T, H, W, 3] RGB.
            queries: N of them.

        Raises:
            ValueError: if frames or queries are none, as `check_queries` says.
        """
        ...


def trackers() -> tuple[str, ...]:
    """The names of all trackers, whether they can be used here or not."""
    return tuple(info.name for info in iter_modules(__path__))


def load(name: str, weights: str | os.PathLike[str] | None = None) -> Tracker:
    """A tracker by its name.

    Args:
        name: one of `trackers()`.
        weights: its weights file, for the trackers that have one.

    Raises:
        ValueError: if there is no such tracker; or, in words, what it needs and is not here.
        OSError: if the weights cannot be read.
    """
    if name not in trackers():
        raise refuse("tracker", name, f"one of {', '.join(trackers())}")
    tracker: Tracker = import_module(f".{name}", __name__).load(weights)
    return tracker


def no_weights(name: str, weights: object) -> None:
    """Refuse a weights file for a tracker that has none."""
    if weights is not None:
        raise ValueError(f"the tracker {name} takes no weights, expected none instead of {weights}")


def check_queries(frames: Tensor, queries: Sequence[Query]) -> None:
    """Refuse what no tracker can follow.

    Raises:
        ValueError: unless frames are uint8 [T, H, W, 3] with T at least 1, and every query lies in
            one of them.
    """
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(
            f"frames are {frames.dtype} {tuple(frames.shape)}, expected uint8 [T, H, W, 3]"
        )
    count, height, width, _ = frames.shape
    if 0 in frames.shape:
        raise ValueError(f"frames are {tuple(frames.shape)}, expected at least one frame")
    for index, query in enumerate(queries):
        if not 0 <= query.frame < count:
            raise refuse(f"queries[{index}].frame", query.frame, f"a frame from 0 to {count - 1}")
        if not (0 <= query.x <= width and 0 <= query.y <= height):
            place = (query.x, query.y)
            raise refuse(f"queries[{index}]", place, f"a point within {width}x{height} pixels")
