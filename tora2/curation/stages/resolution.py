"""The short side of a video has at least so many pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from ...settings import Within
from ..candidate import Candidate
from ..stage import Resources


@dataclass(frozen=True)
class Config:
    """The paper discards what is below 720p (section 3.3).

    Attributes:
        short_side: pixels, of the video as shown.
    """

    short_side: Annotated[int, Within(1, 8192)] = 720


@dataclass(frozen=True)
class Resolution:
    """See the module."""

    config: Config
    name = "resolution"
    resources = Resources()

    def needs(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """The candidate, dropped where it is too small."""
        side = min(candidate.width, candidate.height)
        found = candidate.with_scores(short_side=float(side))
        least = self.config.short_side
        if side < least:
            size = f"{candidate.width}x{candidate.height}"
            found = found.drop(self.name, f"it is {size} pixels, expected at least {least}")
        return (found,)


def build(config: Config) -> Resolution:
    """The stage."""
    return Resolution(config)
