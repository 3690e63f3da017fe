"""Which of the things that move in a video a path was drawn for.

The rule, for a path that is its entity's only one or has no entity:

- The thing that the path begins on is the path's.
- Otherwise it is the nearest of those that move rather as the path does than the ground: whose way
  differs from the path's by less than half of what the path itself goes.
- No thing belongs to two paths, and the nearest to where a path begins goes first; where the thing
  is not seen there, in the first frame that shows both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .anchoring import Sighting, Things
from .trackers import Query, Tracker

Array = npt.NDArray[np.float32]

_TIMES = 5  # frames at which things are looked for, beside those in which paths begin
_MOST = 32  # things that are followed, as each takes time
_STRAYS, _STRAYED = 3.0, 0.3  # pixels, and share of the radius, by which what strays is off
_FEW = 0.1  # share of frames in which a tracker may stray
_MOVED = 4.0  # pixels that a thing moves at least
_ON = 1.1  # radii from its centre at which a path begins on a thing
_LIKE = 0.5  # of the path's own way
_FAR = 0.35  # of the frame's diagonal


@dataclass(frozen=True, eq=False)
class Thing:
    """What moves.

    Attributes:
        radius: of a disc of its area, in pixels.
        points: [T, 2] of its centre in pixels, NaN where it was not found.
        told: how it was told from the ground: `thing` for its motion, `looks` for its picture.
    """

    radius: float
    points: Array
    told: str = "thing"


def moving_things(frames: Tensor, tracker: Tracker, begins: Sequence[int]) -> list[Thing]:
    """Everything that is seen to move against the ground, followed both ways.

    Args:
        frames: uint8 [T, H, W, 3].
        tracker: follows centres.
        begins: frames that are looked at first.

    Raises:
        ValueError: if OpenCV is not installed.
    """
    finder = Things([frame.cpu().numpy() for frame in frames])
    even = np.linspace(0, len(frames) - 1, _TIMES).round().astype(int).tolist()
    known: list[Thing] = []
    for time in dict.fromkeys([*begins, *even]):
        fresh = [seen for seen in finder.seen(time) if not _known(seen, known)]
        fresh = fresh[: _MOST - len(known)]
        if not fresh:
            continue
        followed = tracker.follow(frames, [Query(seen.frame, seen.x, seen.y) for seen in fresh])
        for seen, points in zip(fresh, followed.points.numpy(), strict=True):
            thing = Thing(seen.radius, _agreed(seen, points, finder.centres(seen)))
            if not _known(seen, known) and _moves(thing, finder):
                known.append(thing)
    return known


def _agreed(seen: Sighting, followed: Array, hidden: Array) -> Array:
    """What a tracker says of a thing's centre, held to the ground at rest that the thing hides.

    A tracker may be misled by a pattern that repeats: it is where the two drift apart, and then
    what hides the ground is taken. Otherwise the tracker is finer, once it began in the centre.
    """
    both = np.isfinite(followed + hidden).all(-1)
    if both.sum() < 3:
        return hidden if np.isfinite(hidden).sum() > np.isfinite(followed).sum() else followed
    gaps = hidden[both] - followed[both]
    middle = np.median(gaps, axis=0)
    strays = np.linalg.norm(gaps - middle, axis=-1) > max(_STRAYS, _STRAYED * seen.radius)
    if strays.mean() > _FEW:
        return hidden
    path = followed if seen.sure else followed + middle
    found: Array = np.where(np.isfinite(path), path, hidden)
    return found


def _known(seen: Sighting, things: Sequence[Thing]) -> bool:
    """Whether something is where a thing was followed to."""
    gaps = [math.dist((seen.x, seen.y), thing.points[seen.frame]) for thing in things]
    return any(gap < max(3.0, thing.radius / 2) for gap, thing in zip(gaps, things, strict=True))


def _moves(thing: Thing, finder: Things) -> bool:
    """Whether it moved, and was not the hole that a thing leaves in a ground at rest."""
    found = np.flatnonzero(np.isfinite(thing.points).all(-1))
    if len(found) < 2 or np.ptp(thing.points[found], axis=0).max() < _MOVED:
        return False
    if finder.at_rest is None and not finder.leaves_ground(thing.points):
        return False
    times = found[np.linspace(0, len(found) - 1, 5).round().astype(int)]
    off = [finder.differs(int(time), tuple(thing.points[time])) for time in times]
    return off.count(False) <= 2


def matched(
    paths: Array, counted: npt.NDArray[np.bool_], things: Sequence[Thing], diagonal: float
) -> dict[int, Thing]:
    """The thing of every path that has one, by the rule above.

    Args:
        paths: [N, T, 2] pixels.
        counted: [N, T], where a path counts.
        things: M of them.
        diagonal: of the frame in pixels.
    """
    pairs = []
    for row, (path, counts) in enumerate(zip(paths, counted, strict=True)):
        for index, thing in enumerate(things):
            both = np.flatnonzero(counts & np.isfinite(thing.points).all(-1))
            if len(both) < 2:
                continue
            begin = both[0]
            apart = math.dist(path[begin], thing.points[begin])
            way = path[both] - path[begin]
            unlike = float(np.abs(thing.points[both] - thing.points[begin] - way).sum(-1).mean())
            on = apart <= _ON * thing.radius
            like = unlike < _LIKE * float(np.abs(way).sum(-1).mean())
            if on or (like and apart <= _FAR * diagonal):
                pairs.append((apart + unlike, row, index))
    chosen: dict[int, Thing] = {}
    taken: set[int] = set()
    for _, row, index in sorted(pairs):
        if row not in chosen and index not in taken:
            chosen[row] = things[index]
            taken.add(index)
    return chosen
