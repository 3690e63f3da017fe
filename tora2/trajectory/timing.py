"""When a track is where: key frames, and the easing between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .curves import Array
from .document import Easing, Track

_HALVINGS = 50


def ease(u: Array, easing: Easing) -> Array:
    """Map progress in [0, 1] through an easing: quadratic where it has a name, else its Bezier."""
    if not isinstance(easing, str):
        return _bezier(u, easing)
    if easing == "in":
        return u**2
    if easing == "out":
        return 1 - (1 - u) ** 2
    if easing == "in-out":
        return np.where(u < 0.5, 2 * u**2, 1 - 2 * (1 - u) ** 2)
    return u


def _bezier(u: Array, handles: tuple[float, float, float, float]) -> Array:
    """The cubic's y where its x is `u`; x rises, so halving finds the parameter."""
    x1, y1, x2, y2 = handles
    low, high = np.zeros_like(u, dtype=np.float64), np.ones_like(u, dtype=np.float64)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = _cubic(middle, x1, x2) < u
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(u <= 0, 0.0, np.where(u >= 1, 1.0, _cubic((low + high) / 2, y1, y2)))


def _cubic(t: Array, first: float, second: float) -> Array:
    return ((3 * first - 3 * second + 1) * t + 3 * second - 6 * first) * t * t + 3 * first * t


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a track or a camera has come at every frame.

    Attributes:
        key_points: [K] which control point each key ties.
        before: [T] index of the key at or before each frame.
        after: [T] index of the key after it; the same one after the last.
        eased: [T] progress from the one to the other, in [0, 1].
    """

    key_points: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]
    eased: Array

    def of(self, values: Array) -> Array:
        """Values [T] at every frame of what has values [K] at the keys."""
        start = values[self.before]
        result: Array = start + self.eased * (values[self.after] - start)
        return result


def progress(keys: list[tuple[int, int]], easing: Easing, frames: int) -> Progress:
    """Progress at every frame.

    Args:
        keys: (frame, control point) in increasing frames, at least one.
        easing: from each key to the next.
        frames: number of frames.
    """
    key_frames, key_points = np.array(keys).T
    frame = np.clip(np.arange(frames), keys[0][0], keys[-1][0])
    before = np.searchsorted(key_frames, frame, side="right") - 1
    after = np.minimum(before + 1, len(keys) - 1)
    span = np.maximum(key_frames[after] - key_frames[before], 1)
    eased = ease((frame - key_frames[before]) / span, easing)
    return Progress(key_points, before, after, eased)


def progress_of(track: Track, frames: int) -> Progress:
    """Progress of a track at every frame.

    The first point is reached at `start` and the last at `end`; inner points with a frame are keys.
    Before `start` and after `end` the track rests at its ends; where both are the same frame, it
    rests at its first point.
    """
    keys = [(track.start, 0)]
    if track.end > track.start:
        keys += [
            (point.frame, index)
            for index, point in enumerate(track.points[1:-1], start=1)
            if point.frame is not None
        ]
        keys.append((track.end, len(track.points) - 1))
    return progress(keys, track.easing, frames)


def scale_over_time(track: Track, control_lengths: Array, now: Progress) -> Array:
    """Size [T] of a track's entity at every frame.

    It changes evenly along the path between the points that give it, and stays what it is before
    the first of them and after the last. Where the path has no length, the points share its time.

    Args:
        control_lengths: [n] arc length at each control point.
        now: how far the track has come.
    """
    given = [index for index, point in enumerate(track.points) if point.scale is not None]
    if not given:
        return np.ones(len(now.eased))
    places = _places(len(track.points), control_lengths, now.key_points)
    sizes = np.array([track.points[index].scale for index in given], dtype=np.float64)
    return np.interp(now.before + now.eased, places[given], sizes)


def _places(count: int, lengths: Array, keys: npt.NDArray[np.int64]) -> Array:
    """Where among the keys each of `count` control points lies: 1.5 is halfway from 1 to 2."""
    index = np.arange(count)
    if len(keys) < 2 or count < 2:
        return index.astype(np.float64)
    span = np.clip(np.searchsorted(keys, index, side="right") - 1, 0, len(keys) - 2)
    first, last = keys[span], keys[span + 1]
    whole = lengths[last] - lengths[first]
    along = (lengths - lengths[first]) / np.where(whole > 0, whole, 1)
    result: Array = np.where(whole > 0, along, (index - first) / (last - first)) + span
    return result
