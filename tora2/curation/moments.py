"""Which frames of a clip are looked at."""

from __future__ import annotations

from collections.abc import Sequence

ENTITY = (0.05, 0.5, 0.95)
"""Beginning, middle and end, where the paper (section 3.3) looks for entities."""
QUALITY = (0.0, 0.5, 1.0)
"""First, middle and last, where text and looks are judged."""


def moments(count: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Frames at shares of a clip's length, in rising order, each once.

    Args:
        count: frames of the clip.
        shares: from 0, the first frame, to 1, the last.

    Raises:
        ValueError: if the clip has no frame.
    """
    if count < 1:
        raise ValueError(f"the clip has {count} frames, expected at least one")
    return tuple(sorted({round((count - 1) * share) for share in shares}))
