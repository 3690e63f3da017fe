"""Tracks of entities in two passes from the centres of their masks ("CoTracker3 twice", 3.3).

The paper says no more. Here the first pass follows the centre of each mask through the clip, in
both directions of time, and those that leave the other masks fall away; the second follows that
path and points around it from every masked frame again. The track is the median of what agrees,
and how far apart the frames' answers lie is the forward-backward error.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..data.record import ClipTrack
from ..evaluation.trackers import Query, Tracker
from .candidate import Frames, Mask
from .shapes import inside, middle

Path = npt.NDArray[np.float64]

_MARGIN = 0.01  # of the frame's diagonal, by which a centre may be beside a mask
_AGREED = 0.34  # share of the points that must be found for the entity to be seen


@dataclass(frozen=True, eq=False)
class Tracked:
    """Where an entity went.

    Attributes:
        track: fractions of width and height at every frame, and where it was seen.
        apart: mean distance between what is followed forward and backward, as a share of the
            diagonal.
        seen: share of the frames.
    """

    track: ClipTrack
    apart: float
    seen: float


def two_passes(
    frames: Frames, entities: Sequence[Mapping[int, Mask]], tracker: Tracker, points: int = 8
) -> list[Tracked | None]:
    """Follow entities.

    Args:
        frames: uint8 [T, H, W, 3].
        entities: of each the masks, bool [H, W] by frame; none of them empty.
        tracker: one of `evaluation.trackers`.
        points: in each mask that the second pass follows, beside its centre.

    Returns:
        One for each entity; None where its centre cannot be followed from mask to mask.
    """
    video = torch.tensor(frames)
    first = [
        [Query(place, *middle(mask)) for place, mask in sorted(masks.items())] for masks in entities
    ]
    rough = [
        _agreeing(queries, paths, masks)
        for queries, paths, masks in zip(
            first, _followed(video, first, tracker), entities, strict=True
        )
    ]
    second = [
        [] if path is None else _around(path, masks, points)
        for path, masks in zip(rough, entities, strict=True)
    ]
    return [
        None if path is None else _joined(path, queries, paths, frames.shape[1:3])
        for path, queries, paths in zip(
            rough, second, _followed(video, second, tracker), strict=True
        )
    ]


def _followed(
    video: torch.Tensor, queries: Sequence[Sequence[Query]], tracker: Tracker
) -> list[Path]:
    """[N, T, 2] pixels of each entity's queries, all of them followed at once."""
    flat = [query for own in queries for query in own]
    if not flat:
        return [np.zeros((0, len(video), 2)) for _ in queries]
    points = tracker.follow(video, flat).points.double().numpy()
    ends = np.cumsum([len(own) for own in queries])[:-1]
    return list(np.split(points, ends))


def _agreeing(queries: Sequence[Query], paths: Path, masks: Mapping[int, Mask]) -> Path | None:
    """[T, 2] median of the paths that lie in all the masks; NaN where there is none."""
    good = [
        path
        for query, path in zip(queries, paths, strict=True)
        if np.isfinite(path[query.frame]).all()
        and all(_within(path[place], mask) for place, mask in masks.items())
    ]
    return _median(np.stack(good)) if good else None


def _within(point: Path, mask: Mask) -> bool:
    """Whether a point (x, y) lies in a mask or a little beside it."""
    if not np.isfinite(point).all():
        return False
    reach = max(_MARGIN * float(np.hypot(*mask.shape)), 1.0)
    ys, xs = np.nonzero(mask)
    distance = np.hypot(xs + 0.5 - point[0], ys + 0.5 - point[1])
    return bool(distance.min() <= reach)


def _around(path: Path, masks: Mapping[int, Mask], points: int) -> list[Query]:
    """What the second pass follows: the path itself at the masks, and points within them."""
    found = np.flatnonzero(np.isfinite(path).all(-1))
    queries = []
    for place, mask in sorted(masks.items()):
        queries.append(Query(place, *_bounded(path[place], mask.shape)))
        queries += [Query(place, x, y) for x, y in inside(mask, points)]
    if len(masks) == 1:  # so that there is a way back
        size = next(iter(masks.values())).shape
        for place in {int(found[0]), int(found[-1])} - masks.keys():
            queries.append(Query(place, *_bounded(path[place], size)))
    return queries


def _bounded(point: Path, size: tuple[int, ...]) -> tuple[float, float]:
    return float(np.clip(point[0], 0, size[1])), float(np.clip(point[1], 0, size[0]))


def _joined(rough: Path, queries: Sequence[Query], paths: Path, size: tuple[int, ...]) -> Tracked:
    """The track of the second pass's paths [N, T, 2], each as far from it as when it began."""
    starts = np.array([rough[query.frame] - (query.x, query.y) for query in queries])
    centres = paths + starts[:, None]
    frames = np.array([query.frame for query in queries])
    ways = np.stack([_median(centres[frames == frame]) for frame in np.unique(frames)])
    path = _median(centres)
    share = np.isfinite(centres).all(-1).mean(0)
    visible = np.isfinite(path).all(-1) & (share >= _AGREED)
    height, width = size
    inside_frame = ((path >= 0) & (path <= (width, height))).all(-1)
    visible &= inside_frame
    fractions = _filled(path, visible) / (width, height)
    apart = _spread(ways) / float(np.hypot(height, width))
    track = ClipTrack(fractions.astype(np.float32), visible)
    return Tracked(track, apart, float(visible.mean()))


def _spread(ways: Path) -> float:
    """Mean distance [pixels] of paths [K, T, 2] from one another, where two of them are found."""
    distances = [
        np.linalg.norm(one - other, axis=-1)
        for index, one in enumerate(ways)
        for other in ways[:index]
    ]
    found = np.concatenate(distances) if distances else np.zeros(0)
    found = found[np.isfinite(found)]
    return float(found.mean()) if len(found) else 0.0


def _median(paths: Path) -> Path:
    """[T, 2] of paths [N, T, 2]; NaN where none is found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all are NaN: so is the result
        result: Path = np.nanmedian(paths, axis=0)
    return result


def _filled(path: Path, visible: npt.NDArray[np.bool_]) -> Path:
    """A path [T, 2] with what is not seen between, or held beyond, what is."""
    known = np.flatnonzero(visible)
    times = np.arange(len(path))
    if not len(known):
        return np.zeros_like(path)
    return np.stack([np.interp(times, known, path[known, axis]) for axis in (0, 1)], -1)
