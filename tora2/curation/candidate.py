"""A candidate: a part of a video on its way to becoming a clip, and what is known of it so far."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.masks import decode_mask, encode_mask
from ..data.record import ClipTrack

Frames = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Noun:
    """A thing that the caption names.

    Attributes:
        word: as it stands in the caption.
        span: where, [start, end) characters.
        kind: `human` or `object`.
    """

    word: str
    span: tuple[int, int]
    kind: str = "object"


@dataclass(frozen=True, eq=False)
class Entity:
    """A thing that was found in the frames.

    Attributes:
        id: names it within the clip; letters, digits, `_` and `-`.
        word, span, kind: of its noun.
        masks: bool [H, W] at some frames of the clip, as large as its frames.
        tracks: fractions [T, 2] of width and height at every frame of the clip, and visible [T].
        references: cut-outs, RGBA uint8 [h, w, 4] each.
    """

    id: str
    word: str
    span: tuple[int, int] | None = None
    kind: str = "object"
    masks: Mapping[int, Mask] = field(default_factory=dict)
    tracks: tuple[ClipTrack, ...] = ()
    references: tuple[Frames, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        runs = {frame: (encode_mask(mask), mask.shape) for frame, mask in self.masks.items()}
        rest = (self.id, self.word, self.span, self.kind, self.tracks, self.references)
        return _entity, (runs, *rest)


def _entity(runs: Mapping[int, tuple[str, tuple[int, int]]], *rest: Any) -> Entity:
    """An entity that has travelled; masks take little room on the way."""
    masks = {frame: decode_mask(text, size) for frame, (text, size) in runs.items()}
    identifier, word, span, kind, tracks, references = rest
    return Entity(identifier, word, span, kind, masks, tracks, references)


@dataclass(frozen=True)
class Step:
    """A stage that a candidate went through, as the funnel counts it.

    Attributes:
        stage: its name.
        seconds: that it took.
        into, out: candidates; where one was split into n, each part has 1/n of the steps before.
    """

    stage: str
    seconds: float
    into: float = 1.0
    out: float = 1.0


@dataclass(frozen=True, eq=False)
class Candidate:
    """A part of a video. It travels between processes; its frames stay in the file.

    Frame i of it is what is seen `start + i / fps` seconds into the video, so that also videos of
    a variable rate have frames at a constant one.

    Attributes:
        source: path of the video.
        start, end: seconds.
        width, height: pixels as shown, after rotation; 0 until `decode` knows.
        fps: of its frames; 0 until `decode` knows.
        caption: None where nobody has given one.
        scores: what the stages measured.
        nouns: of the caption.
        entities: of the frames.
        dropped_by: the stage; None for a candidate that is kept so far.
        reason: in words.
        steps: the stages that it went through; the engine adds them.
    """

    source: str
    start: float = 0.0
    end: float = 0.0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    caption: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    nouns: tuple[Noun, ...] = ()
    entities: tuple[Entity, ...] = ()
    dropped_by: str | None = None
    reason: str | None = None
    steps: tuple[Step, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether no stage has dropped it."""
        return self.dropped_by is None

    @property
    def key(self) -> str:
        """Names the clip in a set: of the video's name and path, and the times in milliseconds."""
        stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(self.source).stem).strip("-")[:40] or "video"
        digest = hashlib.sha256(self.source.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        return f"{stem}-{digest}-{round(self.start * 1000):09d}-{round(self.end * 1000):09d}"

    @property
    def frame_count(self) -> int:
        """T, the number of its frames."""
        return max(round((self.end - self.start) * self.fps), 0)

    def frames(self, places: Sequence[int] | None = None, short_side: int | None = None) -> Frames:
        """Read its frames, or those at some places in rising order; a worker keeps the last few.

        Args:
            places: from 0 to `frame_count - 1`; all by default.
            short_side: frames are made smaller until this is their short side, in pixels.

        Returns:
            uint8 [T, H, W, 3] RGB as shown, rotation applied.

        Raises:
            OSError, ValueError: if the video cannot be read there.
        """
        from .reading import read_frames

        return read_frames(self, places, short_side)

    def with_scores(self, **scores: float) -> Candidate:
        """The same candidate with more scores."""
        return replace(self, scores={**self.scores, **scores})

    def drop(self, stage: str, reason: str) -> Candidate:
        """The same candidate, dropped."""
        return replace(self, dropped_by=stage, reason=reason)
