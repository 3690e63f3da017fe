"""Decode every frame once: damaged videos are named, the others' true length and size measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from ...settings import Within
from ..candidate import Candidate
from ..scanning import scan
from ..stage import Resources


@dataclass(frozen=True)
class Config:
    """What can be read.

    Attributes:
        fewest_fps: frames a second below which it is no video but a row of pictures.
        hdr: videos in PQ or HLG are brought to SDR, channel by channel, and so kept; or not.
    """

    fewest_fps: Annotated[float, Within(0, 1000)] = 1.0
    hdr: bool = True


@dataclass(frozen=True)
class Decode:
    """See the module."""

    config: Config
    name = "decode"
    resources = Resources()

    def needs(self) -> Sequence[str]:
        """Nothing but PyAV."""
        return ()

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """The candidate with its size, rate and end."""
        found = scan(candidate.source)
        end = min(candidate.end, found.end) if candidate.end > 0 else found.end
        known = replace(candidate, end=end, width=found.width, height=found.height, fps=found.fps)
        if found.damage is not None:
            return (known.drop(self.name, found.damage),)
        known = known.with_scores(
            hdr=float(found.hdr),
            variable_rate=float(found.variable),
            rotation=float(found.rotation),
        )
        if not self.config.hdr and found.hdr:
            known = known.drop(self.name, "it is in HDR")
        elif found.fps < self.config.fewest_fps:
            least = self.config.fewest_fps
            known = known.drop(
                self.name, f"it has {found.fps:.3g} frames a second, expected at least {least:g}"
            )
        elif known.frame_count < 1:
            known = known.drop(
                self.name, f"it has no frame from {known.start:g} to {known.end:g} s"
            )
        return (known,)


def build(config: Config) -> Decode:
    """The stage."""
    return Decode(config)
