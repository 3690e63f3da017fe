"""Per-frame samples to a document that samples back to exactly them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..document import VERSION, TrajectoryDocument, parse

logger = logging.getLogger(__name__)

Run = Sequence[tuple[int, float, float]]


def from_runs(runs: Iterable[Run], frames: int, size: tuple[int, int]) -> TrajectoryDocument:
    """A document of free linear tracks with a key at every point.

    Args:
        runs: for each track its (frame, x, y) in increasing frames, in pixels; it is visible from
            the first to the last, and moves evenly over frames that are left out.
        frames: frames there are, rounded up to the next 4k + 1.
        size: (height, width) of the canvas in pixels.

    Raises:
        ValueError: where the document would not be valid.
    """
    height, width = size
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
            "version": VERSION,
            "width": width,
            "height": height,
            "frames": (max(frames, 1) + 2) // 4 * 4 + 1,
            "tracks": tracks,
        }
    )


def from_arrays(
    points: npt.NDArray[np.float64], visible: npt.NDArray[np.bool_], size: tuple[int, int]
) -> TrajectoryDocument:
    """A document from points [N, T, 2] in pixels and visible [N, T].

    A track that disappears and comes back becomes one track for each time it is seen.
    """
    runs: list[Run] = []
    for number, (path, seen) in enumerate(zip(points, visible, strict=True), start=1):
        spans = list(_spans(seen))
        if not spans:
            logger.warning("track %d of %d is never visible and is left out", number, len(points))
        runs += [
            [
                (frame, float(path[frame, 0]), float(path[frame, 1]))
                for frame in range(first, last + 1)
            ]
            for first, last in spans
        ]
    return from_runs(runs, points.shape[1], size)


def _spans(seen: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The first and last index of each unbroken stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]])))
    for first, after in edges.reshape(-1, 2):
        yield int(first), int(after) - 1
