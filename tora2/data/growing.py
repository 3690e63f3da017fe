"""A pool of clips that grows while it is trained on, so that training need not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from ..files import wait_for
from .clips import ClipBatch
from .pool import read_pool, write_pool


class GrowingPool:
    """Draws batches from the clips that there are at a step: `start`, and `growth` more a step.

    What a step draws from is a function of the step alone, so a resumed run draws the same. Clips
    are made and kept in files of `part` clips, which other processes read.

    Args:
        folder: of the files.
        more: gives the batches of clips from a clip's number on, in order and without an end.
        like: at least one clip of the set, and `tokens` the number of different token ids, to check
            what is read.
        total: clips of the whole pool; `start` those at step 0.
        part: clips of a file.
        makes: whether this is the process that makes clips; others wait for its files.
    """

    def __init__(
        self,
        folder: Path,
        more: Callable[[int], Iterator[ClipBatch]],
        like: ClipBatch,
        tokens: int,
        total: int,
        start: int,
        growth: float,
        part: int = 512,
        makes: bool = True,
    ) -> None:
        self.folder, self.total, self.start, self.growth = folder, total, min(start, total), growth
        self.part, self.makes = part, makes
        self._clips = _room(like, total)
        self._read = lambda path: read_pool(path, like, tokens)
        self._known = self._kept = 0
        folder.mkdir(parents=True, exist_ok=True)
        while self._path().exists() and self._kept < total:
            self._load()
        self._more = more(self._known)

    def __call__(self, step: int, batch: int, generator: torch.Generator) -> ClipBatch:
        """`batch` clips, with replacement; first those that are missing are made."""
        need = min(self.total, self.start + int(step * self.growth))
        self.grow(need)
        return self._clips[torch.randint(need, (batch,), generator=generator)]

    def grow(self, need: int) -> None:
        """Have at least `need` clips.

        Raises:
            OSError: if a file of clips cannot be written.
        """
        whole = min(self.total, -(-need // self.part) * self.part)
        while self._known < whole:
            if self.makes:
                self._make()
                continue
            wait_for(self._path())
            self._load()

    def _make(self) -> None:
        self._take(next(self._more))
        while self._known - self._kept >= self.part or self._known == self.total > self._kept:
            end = min(self._kept + self.part, self._known)
            write_pool(self._path(), self._clips[torch.arange(self._kept, end)])
            self._kept = end

    def _load(self) -> None:
        self._take(self._read(self._path()))
        self._kept = self._known

    def _path(self) -> Path:
        return self.folder / f"{self._kept:07d}.pt"

    def _take(self, clips: ClipBatch) -> None:
        end = min(self._known + len(clips), self.total)
        for name, room in vars(self._clips).items():
            if name != "vocabulary":
                room[self._known : end] = getattr(clips, name)[: end - self._known]
        self._known = end


def _room(like: ClipBatch, count: int) -> ClipBatch:
    """Tensors for `count` clips; memory is taken as they are filled."""
    empty = {
        name: value.new_empty(count, *value.shape[1:])
        for name, value in vars(like).items()
        if name != "vocabulary"
    }
    return replace(like, **empty)
