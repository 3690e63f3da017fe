"""Candidates whose frames are in memory, for stages of curation."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tora2.curation.candidate import Candidate, Noun
from tora2.curation.segmenters import Instances, Setup
from tora2.curation.stage import Need

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Drawn(Candidate):
    """A candidate with frames of its own, uint8 [T, H, W, 3]."""

    video: Frames = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))

    def frames(self, places: Sequence[int] | None = None, short_side: int | None = None) -> Frames:
        frames = self.video if places is None else self.video[list(places)]
        step = 1 if short_side is None else max(min(frames.shape[1:3]) // short_side, 1)
        frames = frames[:, ::step, ::step]
        frames.setflags(write=False)
        return frames


def drawn(video: Frames, caption: str | None = None, nouns: Sequence[Noun] = ()) -> Drawn:
    """A candidate of a video at 8 frames a second."""
    height, width = video.shape[1:3]
    return Drawn(
        source="drawn.mp4",
        end=len(video) / 8,
        width=width,
        height=height,
        fps=8.0,
        caption=caption,
        nouns=tuple(nouns),
        video=np.ascontiguousarray(video),
    )


COLOURS = {"red": 0, "green": 1, "blue": 2}


class ByColour:
    """A segmenter for drawn things: the first word is the colour, which is saturated."""

    def __init__(self, setup: Setup) -> None:
        self.opened = False

    def needs(self) -> Sequence[Need]:
        return ()

    def memory(self) -> int:
        return 1 << 28

    def open(self) -> None:
        self.opened = True

    def segment(self, frames: Frames, word: str) -> Sequence[Instances]:
        assert self.opened
        channel = COLOURS.get(word.split()[0])
        found = []
        for frame in frames.astype(np.int16):
            if channel is None:
                masks = np.zeros((0, *frame.shape[:2]), bool)
            else:
                others = np.delete(frame, channel, -1).max(-1)
                masks = (frame[..., channel] > others + 60)[None]
                masks = masks[masks.any((1, 2))]
            found.append(Instances(masks, np.ones(len(masks), np.float32)))
        return found
