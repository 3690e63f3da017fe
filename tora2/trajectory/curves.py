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


def polyline(points: Array, curve: str) -> Polyline:
    """Flatten the curve through control points.

    Args:
        points: [n, 2] control points in pixels (x, y), n >= 1.
        curve: `linear` or `spline` (centripetal Catmull-Rom).
    """
    vertices, index = points, np.arange(len(points))
    if curve == "spline" and len(points) > 2:
        vertices, index = _spline(points)
    steps = np.linalg.norm(np.diff(vertices, axis=0), axis=1)
    lengths = np.concatenate([[0.0], np.cumsum(steps)])
    return Polyline(vertices, lengths, lengths[index])


def _spline(points: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Centripetal Catmull-Rom through [n, 2] points: vertices and each point's index among them.

    Every segment is flattened at equal steps of its knot parameter (Barry and Goldman, "A recursive
    evaluation algorithm for a class of Catmull-Rom splines", 1988). The end points get a phantom
    neighbour by reflection, and so does a segment beside a coincident pair, which itself adds only
    its end.
    """
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    p1, p2 = points[:-1], points[1:]
    p0 = np.concatenate([2 * points[:1] - points[1:2], points[:-2]])
    p3 = np.concatenate([points[2:], 2 * points[-1:] - points[-2:-1]])
    moving = steps >= COINCIDENT
    p0, p1, p2, p3 = p0[moving], p1[moving], p2[moving], p3[moving]
    p0 = np.where(_knot(p0, p1) < COINCIDENT, 2 * p1 - p2, p0)
    p3 = np.where(_knot(p2, p3) < COINCIDENT, 2 * p2 - p1, p3)
    inner = _barry_goldman(p0, p1, p2, p3)

    counts = np.where(moving, STEPS, 1)
    index = np.concatenate([[0], np.cumsum(counts)])
    vertices = np.empty((index[-1] + 1, 2))
    places = index[:-1][moving][:, None] + np.arange(1, STEPS + 1)
    vertices[places] = inner
    vertices[index] = points
    return vertices, index


def _knot(start: Array, end: Array) -> Array:
    """Centripetal knot intervals [S, 1] between points [S, 2]."""
    interval: Array = np.sqrt(np.linalg.norm(end - start, axis=-1, keepdims=True))
    return interval


def _barry_goldman(p0: Array, p1: Array, p2: Array, p3: Array) -> Array:
    """Vertices [S, STEPS, 2] after p1 and up to p2 of segments [S, 2] with neighbours p0 and p3."""
    t1 = _knot(p0, p1)
    t2 = t1 + _knot(p1, p2)
    t3 = t2 + _knot(p2, p3)
    t0, t1, t2, t3 = np.zeros_like(t1)[:, None], t1[:, None], t2[:, None], t3[:, None]
    t = t1 + (t2 - t1) * (np.arange(1, STEPS + 1) / STEPS)[:, None]  # [S, STEPS, 1]
    a1 = _between(t, t0, t1, p0[:, None], p1[:, None])
    a2 = _between(t, t1, t2, p1[:, None], p2[:, None])
    a3 = _between(t, t2, t3, p2[:, None], p3[:, None])
    b1 = _between(t, t0, t2, a1, a2)
    b2 = _between(t, t1, t3, a2, a3)
    return _between(t, t1, t2, b1, b2)


def _between(t: Array, start: Array, end: Array, first: Array, last: Array) -> Array:
    share = (t - start) / (end - start)
    return (1 - share) * first + share * last
