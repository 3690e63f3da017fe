"""A trajectory document from a video: points and masks, followed, as paths that can be edited."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..fields import integer, load_json, mapping, number, refuse, sequence
from ..trajectory.document import (
    GRID,
    MAX_ENTITIES,
    MAX_FRAMES,
    MAX_SIDE,
    MAX_TRACKS,
    MIN_SIDE,
    PALETTE,
    Entity,
    Track,
    TrajectoryDocument,
    parse,
    to_dict,
)
from .fitting import fit, spans
from .matching import Thing as Whole
from .matching import moving_things
from .trackers import Query, Tracker, check_queries

Array = npt.NDArray[np.float64]

_POINT = re.compile(r"(-?\d{1,6}(?:\.\d{1,20})?),(-?\d{1,6}(?:\.\d{1,20})?)(?:@(\d{1,6}))?")
_LONGEST = 1 << 20
_ACROSS = 4  # a mask is followed at up to so many points squared
_LEAST = 0.3  # share of them that must be found for the thing to be
_LEAP, _LEAPED = 3.0, 0.25  # pixels, and share of the radius, by which a point that slips leaps


@dataclass(frozen=True)
class Thing:
    """What is to be followed: one point, or several on it.

    Attributes:
        name: what the entity is called.
        queries: points of it, all in one frame.
        centre: (x, y) in pixels of that frame, whose path it becomes.
    """

    name: str
    queries: tuple[Query, ...]
    centre: tuple[float, float]


def places(text: str) -> list[tuple[float, float, int]]:
    """(x, y, frame) of points in a text.

    Args:
        text: `x,y` or `x,y@frame` in pixels, with spaces or lines between them; or JSON as other
            tools' editors give it, `[{"x": …, "y": …}, …]`.

    Raises:
        ValueError: names the part that is no point, or says that there is none.
    """
    if text.lstrip().startswith("["):
        value = sequence(load_json(text, "points", _LONGEST), "points", 0, MAX_ENTITIES)
        found = []
        for index, part in enumerate(value):
            point = mapping(part, f"points[{index}]", "xy", ["frame"])
            x, y = (
                number(point.get(axis), f"points[{index}].{axis}", 0, MAX_SIDE) for axis in "xy"
            )
            frame = integer(point.get("frame", 0), f"points[{index}].frame", 0, MAX_FRAMES)
            found.append((x, y, frame))
        return found
    return [place(part) for part in text.replace(";", " ").split()]


def place(text: str, name: str = "points") -> tuple[float, float, int]:
    """One point as `places` reads it.

    Raises:
        ValueError: if it is none.
    """
    found = _POINT.fullmatch(text.strip())
    if not found:
        raise refuse(name, text, "x,y or x,y@frame such as 120,80@0")
    return float(found[1]), float(found[2]), int(found[3] or 0)


def at_places(
    frames: Tensor, places: Sequence[tuple[float, float, int]], name: str = "points"
) -> list[Thing]:
    """Things at points of a video.

    Args:
        frames: [T, H, W, 3].
        places: (x, y, frame) in pixels.
        name: what errors call them.

    Raises:
        ValueError: if one is not in the video.
    """
    count, height, width, _ = frames.shape
    things = []
    for index, (x, y, frame) in enumerate(places):
        if not 0 <= frame < count:
            raise refuse(f"the frame of {name}", frame, f"a frame from 0 to {count - 1}")
        if not (0 <= x <= width and 0 <= y <= height):
            raise refuse(name, (x, y), f"a point within {width}x{height} pixels")
        things.append(from_point(x, y, frame, f"point {index + 1}"))
    return things


def from_point(x: float, y: float, frame: int, name: str) -> Thing:
    """A thing at a point in pixels."""
    return Thing(name, (Query(frame, x, y),), (x, y))


def from_mask(mask: Tensor, frame: int, name: str) -> Thing:
    """A thing in a mask.

    Args:
        mask: [H, W] bool, True on the thing, as large as the video.
        frame: in which it is there.
        name: what it is called.

    Raises:
        ValueError: if the mask is empty.
    """
    ys, xs = mask.nonzero(as_tuple=True)
    if not len(xs):
        raise ValueError(f"the mask {name} is empty, expected white where the thing is")
    left, top = int(xs.min()), int(ys.min())
    right, bottom = int(xs.max()) + 1, int(ys.max()) + 1
    queries = []
    for row in range(_ACROSS):
        for column in range(_ACROSS):
            x = left + (right - left) * (column + 0.5) / _ACROSS
            y = top + (bottom - top) * (row + 0.5) / _ACROSS
            if bool(mask[int(y), int(x)]):
                queries.append(Query(frame, x, y))
    centre = float(xs.double().mean()) + 0.5, float(ys.double().mean()) + 0.5
    return Thing(name, tuple(queries) or (Query(frame, *centre),), centre)


def follow(
    frames: Tensor, fps: float, things: Sequence[Thing], tracker: Tracker, tolerance: float = 1.0
) -> TrajectoryDocument:
    """Follow things through a video.

    Args:
        frames: uint8 [T, H, W, 3].
        fps: frames per second.
        things: each becomes an entity with a track for every time that it is seen.
        tracker: one of `trackers`.
        tolerance: pixels by which a path may leave what was followed; more of them need fewer
            control points.

    Returns:
        A document of the video's size; its length is rounded up to one that a document can have,
        and no track is visible beyond the video's own frames.

    Raises:
        ValueError: for a video that no document can be of, too many things, or when one of them
            cannot be followed.
    """
    check_queries(frames, [query for thing in things for query in thing.queries])
    count, height, width, _ = frames.shape
    if not 1 <= len(things) <= MAX_ENTITIES:
        raise ValueError(f"{len(things)} things are to be followed, expected 1 to {MAX_ENTITIES}")
    if count > MAX_FRAMES or not MIN_SIDE <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise ValueError(
            f"the video is {width}x{height} with {count} frames, expected sides from {MIN_SIDE} to "
            f"{MAX_SIDE} and at most {MAX_FRAMES} frames, as a trajectory document can have"
        )
    length = GRID.rounded_frames(count)
    followed = tracker.follow(frames, [query for thing in things for query in thing.queries])
    begins = [thing.queries[0].frame for thing in things]
    # What goes as a whole is not seen in the small square that the tracker without weights sees.
    moving = moving_things(frames, tracker, begins) if tracker.name == "lucas_kanade" else []
    entities: list[Entity] = []
    tracks: list[Track] = []
    place = 0
    for index, thing in enumerate(things):
        points = followed.points[place : place + len(thing.queries)].double().numpy()
        place += len(thing.queries)
        path = held(_path(points, thing), thing, moving)
        color = PALETTE[index % len(PALETTE)]
        entities.append(Entity(f"e{index + 1}", thing.name[:80], color))
        seen = _seen(path)
        if seen.sum() < min(2, count):
            x, y = (round(value, 1) for value in thing.centre)
            raise ValueError(
                f"{tracker.name} cannot follow {thing.name} from {x:g},{y:g} in frame "
                f"{thing.queries[0].frame}, expected something there that stands out"
            )
        for first, last in spans(seen):
            name = f"t{len(tracks) + 1}"
            part = path[first : last + 1]
            tracks.append(
                fit(part, first, (height, width), length, name, f"e{index + 1}", tolerance)
            )
    document = TrajectoryDocument(
        width, height, length, _longest(tracks), tuple(entities), min(max(fps, 0.1), 1000.0)
    )
    return parse(to_dict(document))


def _path(points: Array, thing: Thing) -> Array:
    """[T, 2] of a thing's centre: moved as the median of its points [n, T, 2] is."""
    starts = np.array([(query.x, query.y) for query in thing.queries])
    steps = points - starts[:, None]
    found = np.isfinite(steps).all(-1)
    path = np.full(points.shape[1:], np.nan)
    for time in np.flatnonzero(found.mean(0) >= _LEAST):
        path[time] = np.array(thing.centre) + np.median(steps[found[:, time], time], axis=0)
    return path


def held(path: Array, thing: Thing, moving: Sequence[Whole]) -> Array:
    """A path held to the thing that it begins on.

    A pattern that repeats misleads a tracker by a period, all at once; a thing that turns does not.
    Where the point leaps across the thing, the thing's own way is taken, if it is seen as long and
    without a break; where it does not, that fills in where the point was lost.

    Args:
        path: [T, 2] pixels as it was followed, NaN where it was not found.
        thing: what it is of.
        moving: what moves in the video; several of them may be there at the beginning.
    """
    begin, centre = thing.queries[0].frame, np.array(thing.centre)
    near = [w for w in moving if math.dist(centre, w.points[begin]) <= w.radius]
    near.sort(key=lambda whole: -int(_seen(whole.points).sum()))
    for whole in near:
        apart = path - whole.points
        known = np.flatnonzero(_seen(apart))
        leaps = np.linalg.norm(np.diff(apart[known], axis=0), axis=-1)
        if len(known) > 1 and (leaps <= max(_LEAP, _LEAPED * whole.radius)).all():
            nearest = known[np.abs(np.arange(len(path))[:, None] - known).argmin(1)]
            return np.where(np.isfinite(path), path, whole.points + apart[nearest])
    for whole in near:
        seen = _seen(whole.points)
        if len(spans(seen)) == 1 and seen.sum() >= _seen(path).sum():
            return whole.points + (centre - whole.points[begin])
    return path


def _seen(points: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(points).all(-1))


def _longest(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """As many tracks as a document holds, without the shortest."""
    kept = sorted(tracks, key=lambda track: track.start - track.end)[:MAX_TRACKS]
    return tuple(track for track in tracks if track in kept)
