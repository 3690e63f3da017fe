"""The curve through a track's control points, as a polyline measured by arc length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

STEPS = 64
COINCIDENT = 1e-9


@dataclass(frozen=True, eq=False)
class Polyline:
    """Vertices [M, 2] in pixels (x, y), and the arc length at each [M] and at each point [n]."""

    vertices: Array
    lengths: Array
    control_lengths: Array

    def at(self, lengths: Array) -> Array:
        """Positions [T, 2] at arc lengths [T], by linear interpolation."""
        columns = [np.interp(lengths, self.lengths, self.vertices[:, axis]) for axis in (0, 1)]
        return np.stack(columns, axis=-1)


def polyline(
    points: Array, curve: str, tension: float = 0.0, handles: Array | None = None
) -> Polyline:
    """Flatten the curve through control points.

    Args:
        points: [n, 2] control points in pixels (x, y), n >= 1.
        curve: `linear` or `spline` (centripetal Catmull-Rom).
        tension: of a spline; its tangents are multiplied by 1 - tension, so that 1 is straight.
        handles: [n, 2, 2] where each point's Bezier handles lie from it, in pixels: the one on the
            side it is reached from, and the one on the side it is left to. NaN where the spline
            decides.
    """
    vertices, index = points, np.arange(len(points))
    if curve == "spline" and (len(points) > 2 or (handles is not None and len(points) > 1)):
        vertices, index = _spline(points, tension, handles)
    steps = np.hypot(*np.diff(vertices, axis=0).T)
    lengths = np.concatenate([[0.0], np.cumsum(steps)])
    return Polyline(vertices, lengths, lengths[index])


def _spline(
    points: Array, tension: float, handles: Array | None
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Centripetal Catmull-Rom through [n, 2] points: vertices and each point's index among them.

    Every segment is flattened at equal steps of its knot parameter. The pyramid of Barry and
    Goldman ("A recursive evaluation algorithm for a class of Catmull-Rom splines", 1988) is
    evaluated as the cubic Hermite polynomial it equals, in a fifth of the time. The end points get
    a phantom neighbour by reflection, and so does a segment beside a coincident pair, which itself
    adds only its end. A handle is a third of the tangent that it takes the place of.
    """
    moving, neighbours, given = _neighbours(points, handles)
    counts = np.where(moving, STEPS, 1)
    index = np.concatenate([[0], np.cumsum(counts)])
    vertices = np.empty((2, index[-1] + 1))  # by axis, so that each is one stretch of memory
    vertices[:, 1:][:, np.repeat(moving, counts)] = _segments(*neighbours, tension, given).reshape(
        2, -1
    )
    vertices[:, index] = points.T
    return vertices.T, index


def _neighbours(
    points: Array, handles: Array | None
) -> tuple[npt.NDArray[np.bool_], tuple[Array, Array, Array, Array], tuple[Array, Array] | None]:
    """Which segments are longer than a point; their four points [S, 2]; tangents that are given."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    p1, p2 = points[:-1], points[1:]
    p0 = np.concatenate([2 * points[:1] - points[1:2], points[:-2]])
    p3 = np.concatenate([points[2:], 2 * points[-1:] - points[-2:-1]])
    moving = steps >= COINCIDENT
    p0, p1, p2, p3 = p0[moving], p1[moving], p2[moving], p3[moving]
    bent = None if handles is None else 3 * handles
    given = None if bent is None else (bent[:-1, 1][moving], -bent[1:, 0][moving])
    p0 = np.where(_knot(p0, p1) < COINCIDENT, 2 * p1 - p2, p0)
    p3 = np.where(_knot(p2, p3) < COINCIDENT, 2 * p2 - p1, p3)
    return moving, (p0, p1, p2, p3), given


def spline_handles(points: Array, tension: float, handles: Array | None) -> Array:
    """The Bezier handles of a spline's segments, as they are drawn.

    Args:
        points: [n, 2] in pixels, n >= 2; the rest as in `polyline`.

    Returns:
        [n - 1, 2, 2] places in pixels: the first handle and the second of each segment.
    """
    straight = np.stack(
        [points[:-1] + np.diff(points, axis=0) * part for part in (1 / 3, 2 / 3)], 1
    )
    if len(points) == 2 and handles is None:
        return straight
    moving, (p0, p1, p2, p3), given = _neighbours(points, handles)
    leaving, arriving = _tangents(p0, p1, p2, p3, tension, given)
    straight[moving, 0], straight[moving, 1] = p1 + leaving / 3, p2 - arriving / 3
    return straight


def _knot(start: Array, end: Array) -> Array:
    """Centripetal knot intervals [S, 1] between points [S, 2]."""
    interval: Array = np.sqrt(np.linalg.norm(end - start, axis=-1, keepdims=True))
    return interval


def _segments(
    p0: Array,
    p1: Array,
    p2: Array,
    p3: Array,
    tension: float,
    given: tuple[Array, Array] | None,
) -> Array:
    """Vertices [2, S, STEPS] after p1 and up to p2 of segments [S, 2] with neighbours p0 and p3.

    `given` are tangents [S, 2] at p1 and at p2 that the user has set; NaN where there is none.
    """
    leaving, arriving = _tangents(p0, p1, p2, p3, tension, given)
    chord = p2 - p1
    u = np.arange(1, STEPS + 1) / STEPS
    result = np.empty((2, len(p1), STEPS))
    result[:] = (leaving + arriving - 2 * chord).T[..., None]
    for coefficient in (3 * chord - 2 * leaving - arriving, leaving, p1):
        result *= u
        result += coefficient.T[..., None]
    return result


def _tangents(
    p0: Array,
    p1: Array,
    p2: Array,
    p3: Array,
    tension: float,
    given: tuple[Array, Array] | None,
) -> tuple[Array, Array]:
    """Tangents [S, 2] at the beginning and the end of segments [S, 2]."""
    before, here, after = _knot(p0, p1), _knot(p1, p2), _knot(p2, p3)
    chord = p2 - p1
    leaving = here * ((p1 - p0) / before - (p2 - p0) / (before + here)) + chord
    arriving = here * ((p3 - p2) / after - (p3 - p1) / (here + after)) + chord
    if tension:
        leaving, arriving = (1 - tension) * leaving, (1 - tension) * arriving
    if given is not None:
        leaving = np.where(np.isnan(given[0]), leaving, given[0])
        arriving = np.where(np.isnan(given[1]), arriving, given[1])
    return leaving, arriving
