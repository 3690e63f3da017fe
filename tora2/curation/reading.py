"""The frames of candidates, through PyAV."""

from __future__ import annotations

from collections.abc import Sequence

from .candidate import Candidate, Frames


def read_frames(
    candidate: Candidate, places: Sequence[int] | None, short_side: int | None
) -> Frames:
    """See `Candidate.frames`."""
    raise NotImplementedError
