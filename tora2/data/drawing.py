"""Which clips a step sees, as a function of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

import torch

from .damage import PATIENCE, Damage

T = TypeVar("T")
_ATTEMPTS = 64


def rows_of_step(seed: int, step: int, batch: int, length: int) -> list[int]:
    """The clips of one optimiser step: every epoch is a permutation of the whole set.

    It does not depend on the number of processes; each takes its share of the list.

    Args:
        seed: of the run; step: from 0; batch: clips a step over all processes.
        length: clips of the set.
    """
    places = range(step * batch, (step + 1) * batch)
    return [_permutation(seed, place // length, length)[place % length] for place in places]


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, length: int) -> list[int]:
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % (1 << 63))
    return torch.randperm(length, generator=generator).tolist()


class Tolerance(Generic[T]):
    """Loads clips, and lets a stated share of them be damaged.

    A damaged clip is counted, named in the log (the first of them) and replaced by another, which
    again is a function of the row alone, so that runs stay repeatable.

    Args:
        load: reads the clip of a row; raises ValueError or OSError if it is damaged.
        length: clips of the set.
        share: of the clips drawn that may be damaged.
        patience: clips drawn before the share counts.
    """

    def __init__(
        self, load: Callable[[int], T], length: int, share: float = 0.01, patience: int = PATIENCE
    ) -> None:
        self._load, self._length = load, length
        self._damage = Damage(share, patience)

    @property
    def drawn(self) -> int:
        """Clips that were tried."""
        return self._damage.seen

    @property
    def damaged(self) -> int:
        """Those of them that could not be read."""
        return self._damage.damaged

    def load(self, row: int) -> T:
        """The clip of a row, or of the first sound one after it.

        Raises:
            ValueError: if more than the share is damaged; names the last of them.
        """
        for attempt in range(_ATTEMPTS):
            try:
                clip = self._load(row)
            except (ValueError, OSError) as error:
                self._damage.found(error)
            else:
                self._damage.sound()
                return clip
            row = self._other(row, attempt)
        raise ValueError(f"{_ATTEMPTS} clips in a row are damaged, the last of them row {row}")

    def _other(self, row: int, attempt: int) -> int:
        generator = torch.Generator().manual_seed((row + 1) * 1_000_003 + attempt)
        return int(torch.randint(self._length, (), generator=generator))
