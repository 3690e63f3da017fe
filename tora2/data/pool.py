"""A pool of encoded clips: a file, and the batches that training draws from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from .clips import ClipBatch
from .tensor_file import read_tensors, write_tensors

Draw = Callable[[int, int, torch.Generator], ClipBatch]
"""Gives the clips of a step: (step, how many, generator)."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Draws batches with replacement, each from the generator of its step."""

    clips: ClipBatch

    def __call__(self, step: int, batch: int, generator: torch.Generator) -> ClipBatch:
        return self.clips[torch.randint(len(self.clips), (batch,), generator=generator)]


def write_pool(path: Path, clips: ClipBatch) -> None:
    """Write clips as a file.

    Raises:
        OSError: if it cannot be written.
    """
    write_tensors(path, vars(clips))


def read_pool(path: Path, like: ClipBatch, tokens: int) -> ClipBatch:
    """Clips from a file of `write_pool`.

    Args:
        path: of the file.
        like: at least one clip of the set that the file is to hold.
        tokens: number of different token ids.

    Raises:
        ValueError: names the file, if it is damaged or holds clips of another set.
    """
    names = {field.name for field in fields(ClipBatch)}
    with read_tensors(path) as values:
        if values.keys() != names:
            raise ValueError("it holds no clips of this version")
        clips = ClipBatch(**values)
        clips.check(like, tokens)
        return clips
