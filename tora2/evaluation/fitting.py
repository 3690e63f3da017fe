"""From points at every frame to paths that can be edited: few control points, with key frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..trajectory import TrajectoryDocument, sample
from ..trajectory.document import MAX_POINTS, Point, Track

Array = npt.NDArray[np.float64]


def spans(seen: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The first and last frame of every unbroken stretch of `seen` [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]])))
    return [(int(first), int(after) - 1) for first, after in edges.reshape(-1, 2)]


def fit(
    path: Array,
    start: int,
    size: tuple[int, int],
    frames: int,
    name: str,
    entity: str | None = None,
    tolerance: float = 1.0,
) -> Track:
    """A spline track that keeps to a path within a tolerance, with as few points as it takes.

    It begins with the first and the last point; the place that is farthest off becomes a control
    point with a key at its frame, until none is.

    Args:
        path: [n, 2] pixels (x, y) at the frames from `start` on.
        start: the first of these frames.
        size: (height, width) of the frame in pixels.
        frames: of the document.
        name, entity: of the track.
        tolerance: pixels.
    """
    height, width = size
    last = len(path) - 1
    moves = float(np.abs(path - path[0]).max()) > tolerance
    keys = [0, last] if moves else [0]
    while True:
        points = [
            Point(
                float(path[key, 0] / width),
                float(path[key, 1] / height),
                start + key if 0 < key < last else None,
            )
            for key in keys
        ]
        track = Track(name, tuple(points), start, start + last, entity)
        off = np.linalg.norm(_sampled(track, size, frames)[start : start + last + 1] - path, axis=1)
        off[keys] = 0.0
        if not moves or off.max() <= tolerance or len(keys) == min(len(path), MAX_POINTS):
            return track
        keys = sorted([*keys, int(off.argmax())])


def _sampled(track: Track, size: tuple[int, int], frames: int) -> Array:
    height, width = size
    alone = Track(track.id, track.points, track.start, track.end)
    tracks = sample(TrajectoryDocument(width, height, frames, (alone,)))
    points: Array = tracks.points[0].double().numpy()
    return points
