"""Per-frame samples to a document that samples back to exactly them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ...fields import sequence
from ..document import GRID, MAX_TRACKS, TrajectoryDocument, parse

logger = logging.getLogger(__name__)

Run = Sequence[tuple[int, float, float]]


def from_runs(runs: Iterable[Run], frames: int, size: tuple[int, int]) -> TrajectoryDocument:
    """A document of free linear tracks with a key at every point.

    Args:
        runs: for each track its (frame, x, y) in increasing frames, in pixels; it is visible from
            the first to the last, and moves evenly over frames that are left out.
        frames: frames there are, rounded up to the next number that a document can have.
        size: (height, width) of the canvas in pixels.

    Raises:
        ValueError: where the document would not be valid.
    """
    height, width = size
    runs = list(runs)
    sequence(runs, "tracks", 0, MAX_TRACKS)
    tracks = [
        {
            "id": f"t{number}",
            "curve": "linear",
            "start": run[0][0],
            "end": run[-1][0],
            "points": [{"x": x / width, "y": y / height, "frame": frame} for frame, x, y in run],
        }
        for number, run in enumerate(runs, start=1)
    ]
    return parse(
        {
            "version": 1,
            "width": width,
            "height": height,
            "frames": GRID.rounded_frames(frames),
            "tracks": tracks,
        }
    )


def from_arrays(
    points: npt.NDArray[np.float64], visible: npt.NDArray[np.bool_], size: tuple[int, int]
) -> TrajectoryDocument:
    """A document from points [N, T, 2] in pixels and visible [N, T].

    A track that disappears and comes back becomes one track for each time it is seen.
    """
    places = [list(_spans(seen)) for seen in visible]
    for number, spans in enumerate(places, start=1):
        if not spans:
            logger.warning("track %d of %d is never visible and is left out", number, len(points))
    sequence([span for spans in places for span in spans], "tracks", 0, MAX_TRACKS)
    runs = [
        [(frame, float(path[frame, 0]), float(path[frame, 1])) for frame in range(first, last + 1)]
        for path, spans in zip(points, places, strict=True)
        for first, last in spans
    ]
    return from_runs(runs, points.shape[1], size)


def short(value: float) -> float:
    """The shortest decimal that is this float32."""
    return float(str(value))


def _spans(seen: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The first and last index of each unbroken stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]])))
    for first, after in edges.reshape(-1, 2):
        yield int(first), int(after) - 1
