"""Editable paths from other tools' curves: their handles, and their pace and size over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..curves import COINCIDENT, Array, polyline
from ..document import MAX_POINTS

Curve = Sequence[tuple[float, float]]
"""Values over time, (time, value), straight between; times go up."""

_OCTAVES = 1.0
"""Between two points a size changes evenly; one that doubles and halves needs points this often."""


@dataclass(frozen=True)
class Stop:
    """Where a track is at a time of its own: fractions of its time and of its path's length."""

    time: float
    place: float
    size: float | None = None


def tangents(points: Array, part: float) -> Array:
    """Where the Bezier handles [n, 2] of a uniform spline lie, on the side a point is left to.

    Args:
        points: [n, 2] control points; the curve ends in the first and the last without any beyond.
        part: of the way from the point before to the point after; 1/6 is Catmull and Rom's.
    """
    before = np.concatenate([points[:1], points[:-1]])
    after = np.concatenate([points[1:], points[-1:]])
    return part * (after - before)


def value_at(curve: Curve, time: float) -> float:
    """The value of a curve; before its first and after its last time those two go on."""
    pairs = ((a, b) for a, b in pairwise(curve) if a[0] <= time <= b[0])
    (x0, y0), (x1, y1) = next(pairs, (curve[0], curve[-1]))
    return y0 if x1 == x0 else y0 + (time - x0) / (x1 - x0) * (y1 - y0)


def stops(easing: Curve, sizes: Curve) -> list[Stop]:
    """What two curves say, at the times at which they bend.

    Args:
        easing: how far the track has come on its path, [0, 1], over its time.
        sizes: half the octaves of its size over its time: 2 is twice as large, -2 half.

    Returns:
        None but the first and the last where the pace is even; sizes stand in them where they
        change.
    """
    times = {0.0, 1.0, *(time for curve in (easing, sizes) for time, _ in curve if 0 < time < 1)}
    grows = len({value for _, value in sizes}) > 1
    dense = sorted(times)
    for a, b in pairwise(sorted(times)):
        count = int(np.ceil(abs(value_at(sizes, b) - value_at(sizes, a)) / _OCTAVES))
        dense += [a + (b - a) * step / count for step in range(1, count)]
    return [
        Stop(
            time,
            min(1.0, max(0.0, value_at(easing, time))),
            2 ** (value_at(sizes, time) / 2) if grows else None,
        )
        for time in sorted(dense)
    ]


def paced(
    points: Array,
    leave: Array | None,
    frames: tuple[int, int],
    stops: Sequence[Stop],
    size: tuple[float, float],
) -> list[dict[str, object]]:
    """The points of a track that is at each stop's place at its time, evenly between.

    The path is cut where a stop lies on it, which leaves its shape as it is; where a stop lies
    before the last one, the track goes back on it.

    Args:
        points: [n, 2] control points in pixels.
        leave: [n, 2] Bezier handles of a smooth path, mirrored on the side of arrival; None for a
            straight one.
        frames: the first and the last of the track.
        stops: at least those of the times 0 and 1.
        size: (width, height) of the canvas of the points.

    Returns:
        Points as in a document.
    """
    sides = np.array(size)
    handles = None if leave is None else np.stack([-leave, leave], axis=1)
    line = polyline(points, "linear" if leave is None else "spline", handles=handles)
    start, end = frames

    def spot(stop: Stop) -> tuple[int, float]:
        return _on(line.control_lengths, line.lengths, stop.place * line.lengths[-1])

    index, inside = last = spot(stops[0])
    result = [_point(_blossom(_segment(points, leave, index), inside, inside, inside) / sides)]
    if stops[0].size is not None:
        result[0]["scale"] = stops[0].size
    if len(points) == 1 and stops[0].size is None:
        return result
    known = start
    for number, stop in enumerate(stops[1:], 2):
        frame = start + int(np.floor(stop.time * (end - start) + 0.5))
        final = number == len(stops)
        if frame <= known or (frame >= end and not final):
            continue
        if len(result) > MAX_POINTS:
            break
        place = spot(stop)
        for index, u, v in _pieces(last, place):
            segment = _segment(points, leave, index)
            here, one, two, there = (
                _blossom(segment, *part) for part in ((u, u, u), (u, u, v), (u, v, v), (v, v, v))
            )
            result.append(_point(there / sides))
            if leave is not None:
                result[-2]["leave"] = ((one - here) / sides).tolist()
                result[-1]["arrive"] = ((two - there) / sides).tolist()
        if not final:
            result[-1]["frame"] = frame
        if stop.size is not None:
            result[-1]["scale"] = stop.size
        known, last = frame, place
    return result


def _on(controls: Array, lengths: Array, length: float) -> tuple[int, float]:
    """The segment at an arc length, and how far in it, of its parameter."""
    last = max(len(controls) - 2, 0)
    index = int(np.clip(np.searchsorted(controls, length, side="right") - 1, 0, last))
    if len(controls) < 2 or controls[index + 1] - controls[index] < COINCIDENT:
        return index, 0.0
    inside = np.unique(lengths[(lengths >= controls[index]) & (lengths <= controls[index + 1])])
    return index, float(np.interp(length, inside, np.linspace(0, 1, len(inside))))


def _segment(points: Array, leave: Array | None, index: int) -> Array:
    """The Bezier points [4, 2] of a segment."""
    a, b = points[index], points[min(index + 1, len(points) - 1)]
    if leave is None:
        return np.stack([a, a + (b - a) / 3, b - (b - a) / 3, b])
    return np.stack([a, a + leave[index], b - leave[min(index + 1, len(points) - 1)], b])


def _blossom(segment: Array, u: float, v: float, w: float) -> Array:
    """The polar form of a Bezier curve, whose values are the Bezier points of its parts."""
    for part in (u, v, w):
        segment = (1 - part) * segment[:-1] + part * segment[1:]
    return segment[0]


def _pieces(a: tuple[int, float], b: tuple[int, float]) -> list[tuple[int, float, float]]:
    """The parts of segments on the way from one place to another: (segment, from, to)."""
    (i, u), (j, v) = a, b
    step = 1 if (j, v) >= (i, u) else -1
    far, near = (1.0, 0.0) if step > 0 else (0.0, 1.0)
    pieces = [
        (index, u if index == i else near, v if index == j else far)
        for index in range(i, j + step, step)
    ]
    moving = [piece for piece in pieces if abs(piece[2] - piece[1]) > COINCIDENT]
    return moving or [(j, v, v)]


def _point(place: Array) -> dict[str, object]:
    return {"x": float(place[0]), "y": float(place[1])}
