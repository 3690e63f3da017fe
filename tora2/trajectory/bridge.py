"""Tracks for models that copy what a point lies on in the first frame along its path.

Wan-Move and ATI read a path so. A point that is not visible or off the frame at the first frame
lies on nothing: Wan-Move then takes its last cell, and carries the lower right corner along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .curves import Array
from .formats.text import dumps_points
from .sampling import Tracks

MAX_POINTS = 64
"""Points that one entity can be spread into."""

_GRID = 48
"""Places along the longer side of a region that points are chosen from."""
_ROUNDS = 12


def first_seen(tracks: Tracks) -> list[int | None]:
    """For each track the first frame at which it is visible and on the frame; None for never."""
    seen = tracks.visible & _inside(tracks)
    return [int(row.int().argmax()) if bool(row.any()) else None for row in seen]


def held(tracks: Tracks) -> Tracks:
    """Tracks that wait, visible, at the first point at which they are seen.

    A track that is never seen stays as it is; models that copy along paths then leave it out.
    """
    points, visible, scale = tracks.points.clone(), tracks.visible.clone(), tracks.scale.clone()
    for row, first in enumerate(first_seen(tracks)):
        if first:
            points[row, :first] = points[row, first]
            visible[row, :first] = True
            scale[row, :first] = scale[row, first]
    return replace(tracks, points=points, visible=visible, scale=scale)


def resampled(tracks: Tracks, count: int) -> Tracks:
    """The same clip in `count` evenly spaced samples, its first and last frame among them.

    Raises:
        ValueError: if `count` is not positive.
    """
    if count < 1:
        raise ValueError(f"the number of samples is {count}, expected at least 1")
    if count == tracks.frames:
        return tracks
    place = torch.linspace(0, tracks.frames - 1, count, dtype=torch.float64)
    before = place.floor().long().clamp(max=max(tracks.frames - 2, 0))
    after = (before + 1).clamp(max=tracks.frames - 1)
    part = (place - before)[:, None].to(tracks.points.dtype)
    points = torch.lerp(tracks.points[:, before], tracks.points[:, after], part)
    return replace(
        tracks,
        points=points,
        visible=tracks.visible[:, place.round().long()],
        scale=torch.lerp(tracks.scale[:, before], tracks.scale[:, after], part[:, 0]),
        frames=count,
    )


def coordinates(tracks: Tracks, count: int = 0) -> str:
    """`[[{"x", "y"}, ...], ...]` in pixels, as Wan's, LTXV's and KJNodes' nodes read it.

    Args:
        tracks: whole paths are written; the format does not know of visibility.
        count: points a track, evenly over the clip; 0 for one a frame. ATI reads 121.
    """
    return dumps_points(resampled(tracks, count) if count else tracks)


def spread(
    tracks: Tracks,
    count: int,
    radius: float,
    regions: Mapping[int, Array] | None = None,
) -> Tracks:
    """More points for each entity, which move along with its own as one rigid thing.

    They draw together and apart with its size.

    An entity's tracks come first, unchanged, and points spread evenly over the rest of its region
    follow, each at its place beside the nearest of them in the first frame.

    Args:
        tracks: held ones; each free track is spread for itself, and one that starts off the frame
            is not.
        count: points an entity, its own tracks among them; more tracks than this stay as they are.
        radius: in pixels, of the region around the first point of each track.
        regions: for entities by their index, the places [M, 2] in pixels that they cover in the
            first frame, in place of the radius; see `mask_region` and `box_region`.

    Returns:
        The N tracks, and the others after them.

    Raises:
        ValueError: if a region has no place on the frame.
    """
    rows_of: dict[int, list[int]] = {}
    for row, entity in enumerate(tracks.entity.tolist()):
        rows_of.setdefault(entity if entity >= 0 else -1 - row, []).append(row)
    starts = _inside(tracks)[:, 0].tolist()
    points, visible, entity = [tracks.points], [tracks.visible], [tracks.entity]
    scale = [tracks.scale]
    for key, rows in rows_of.items():
        rows = [row for row in rows if starts[row]]
        missing = count - len(rows)
        if not rows or missing < 1:
            continue
        own = tracks.points[rows, 0].double().numpy()
        region = (regions or {}).get(key)
        region = _on_frame(_discs(own, radius) if region is None else region, tracks)
        if not len(region):
            raise ValueError(
                f"entity {key} covers nothing of the first frame, expected a mask or a box on it"
            )
        for place in _spaced(own, region, missing):
            nearest = int(((own - place) ** 2).sum(1).argmin())
            row = rows[nearest]
            offset = torch.from_numpy(place - own[nearest]).to(tracks.points)[None]
            growth = tracks.scale[row] / tracks.scale[row, 0]
            points.append((tracks.points[row] + offset * growth[:, None])[None])
            scale.append(tracks.scale[row][None])
            visible.append(tracks.visible[row][None])
            entity.append(tracks.entity[row][None])
    return replace(
        tracks,
        points=torch.cat(points),
        visible=torch.cat(visible),
        entity=torch.cat(entity),
        scale=torch.cat(scale),
    )


def mask_region(mask: Tensor, size: tuple[int, int]) -> Array:
    """The places [M, 2] in pixels of a canvas of `size` (height, width) that a mask [h, w] covers.

    A mask is stretched over the canvas, and covers where it is above one half.
    """
    high, wide = mask.shape
    rows, columns = np.nonzero(mask.detach().cpu().numpy() > 0.5)
    if not len(rows):
        return np.empty((0, 2))
    step = -(-max(np.ptp(rows), np.ptp(columns)) // _GRID) or 1
    inner = ((rows - rows.min() - step // 2) % step == 0) & (
        (columns - columns.min() - step // 2) % step == 0
    )
    if inner.any():
        rows, columns = rows[inner], columns[inner]
    factor = np.array([size[1] / wide, size[0] / high])
    return (np.stack([columns, rows], axis=1) + 0.5) * factor


def box_region(left: float, top: float, width: float, height: float) -> Array:
    """Places [M, 2] in a rectangle, in pixels."""
    step = max(width, height, 1e-6) / _GRID
    xs = left + width * _middles(max(1, round(width / step)))
    ys = top + height * _middles(max(1, round(height / step)))
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)


def _inside(tracks: Tracks) -> Tensor:
    """[N, T], which points are on the frame."""
    limits = tracks.points.new_tensor([tracks.width, tracks.height])
    return ((tracks.points >= 0) & (tracks.points < limits)).all(-1)


def _middles(count: int) -> Array:
    middles: Array = (np.arange(count) + 0.5) / count
    return middles


def _discs(centres: Array, radius: float) -> Array:
    """Places in the discs around some points."""
    found = []
    for x, y in centres:
        square = box_region(x - radius, y - radius, 2 * radius, 2 * radius)
        found.append(square[((square - [x, y]) ** 2).sum(1) <= radius**2])
    return np.concatenate(found)


def _on_frame(places: Array, tracks: Tracks) -> Array:
    inside = (places >= 0) & (places < [tracks.width, tracks.height])
    return places[inside.all(1)]


def _spaced(fixed: Array, region: Array, count: int) -> Array:
    """Places of a region [M, 2] that keep away from each other and from fixed ones [K, 2].

    Lloyd's iteration from farthest-point seeds: each place is in the middle of the part of the
    region that it is nearest to, so that none lies on the region's edge.
    """
    chosen: list[Array] = []
    for _ in range(min(count, len(region))):
        chosen.append(region[_distances(region, [*fixed, *chosen]).min(1).argmax()])
    for _ in range(_ROUNDS):
        owner = _distances(region, [*fixed, *chosen]).argmin(1) - len(fixed)
        for index in range(len(chosen)):
            cell = region[owner == index]
            if len(cell):
                middle = cell.mean(0)
                chosen[index] = cell[((cell - middle) ** 2).sum(1).argmin()]
    return np.array(chosen)


def _distances(places: Array, others: Sequence[Array]) -> Array:
    """Squared, [M, K]."""
    squared: Array = ((places[:, None] - np.array(others)[None]) ** 2).sum(-1)
    return squared
