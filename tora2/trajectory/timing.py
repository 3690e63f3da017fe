"""When a track is where: key frames, and the easing between them."""

from __future__ import annotations

import numpy as np

from .curves import Array
from .document import Track


def ease(u: Array, easing: str) -> Array:
    """Map progress in [0, 1] through `linear`, `in`, `out` or `in-out` (quadratic)."""
    if easing == "in":
        return u**2
    if easing == "out":
        return 1 - (1 - u) ** 2
    if easing == "in-out":
        return np.where(u < 0.5, 2 * u**2, 1 - 2 * (1 - u) ** 2)
    return u


def lengths_over_time(track: Track, control_lengths: Array, frames: int) -> Array:
    """Arc length [frames] at every frame.

    The first point is reached at `start` and the last at `end`; inner points with a frame are keys.
    Before `start` and after `end` the track rests at its ends; where both are the same frame, it
    rests at its first point.

    Args:
        track: gives the keys and the easing of each span between two of them.
        control_lengths: [n] arc length at each control point.
        frames: number of frames.
    """
    if track.start == track.end:
        return np.full(frames, control_lengths[0])
    inner = [
        (point.frame, index)
        for index, point in enumerate(track.points[1:-1], start=1)
        if point.frame is not None
    ]
    keys = [(track.start, 0), *inner, (track.end, len(track.points) - 1)]
    key_frames, key_points = np.array(keys).T
    lengths = control_lengths[key_points]

    frame = np.clip(np.arange(frames), track.start, track.end)
    before = np.searchsorted(key_frames, frame, side="right") - 1
    after = np.minimum(before + 1, len(keys) - 1)
    span = np.maximum(key_frames[after] - key_frames[before], 1)
    eased = ease((frame - key_frames[before]) / span, track.easing)
    result: Array = lengths[before] + eased * (lengths[after] - lengths[before])
    return result
