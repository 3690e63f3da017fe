"""Did it follow: the paths of a scene against where its things are in any video.

The rules, which every report keeps:

- The canvas is stretched over the video, and the clip over its length: a path keeps its fractions
  of the frame and of the time, as when a document is resized.
- A path is followed from where it first is visible and within the frame, both ways: what is at that
  very place (the anchor `path`, as the paper does), or the centre of the thing there (the anchor
  `thing`), where the path is its entity's only one and the thing can be told from the ground.
- Points count where the path is visible and within the frame, and the tracker found something; the
  share of points found stands beside every number.
- An entity's error is the mean over the points of all its tracks; the video's is the mean over
  entities with tracks, and tracks without an entity, that were measured at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..trajectory import Tracks, TrajectoryDocument, sample
from .anchoring import find_thing
from .metrics import trajectory_error
from .trackers import Followed, Query, Tracker, check_queries

ANCHORS = ("path", "thing")
_THINGS = 32  # looked for at most, as each takes time


@dataclass(frozen=True)
class PathError:
    """What was measured of an entity or a track, or of several.

    Attributes:
        trajectory_error: mean of |dx| + |dy| in pixels of the video; None where nothing was found.
        euclidean: mean distance in pixels, likewise.
        seen: share of the points that count at which something was found.
        tracks: paths it has.
    """

    trajectory_error: float | None
    euclidean: float | None
    seen: float
    tracks: int


@dataclass(frozen=True, eq=False)
class TrajectoryReport:
    """How a video kept to its paths.

    Attributes:
        overall: mean over entities with tracks and tracks without an entity.
        entities: by id, those without tracks too.
        tracks: by id.
        requested: the paths on the video's frames, in its pixels.
        counted: [N, T] bool, where a path is visible and within the frame.
        measured: [N, T, 2] pixels, NaN where nothing was found.
        anchors: by track, `path` or `thing`: what was followed.
        tracker, licence: what found it.
        resolution: (height, width) at which the tracker looked.
    """

    overall: PathError
    entities: dict[str, PathError]
    tracks: dict[str, PathError]
    requested: Tracks
    counted: Tensor
    measured: Tensor
    anchors: dict[str, str]
    tracker: str
    licence: str
    resolution: tuple[int, int]


def measure_trajectories(
    frames: Tensor,
    document: TrajectoryDocument,
    tracker: Tracker,
    pictures: Mapping[str, Tensor] | None = None,
    anchor: str = "path",
) -> TrajectoryReport:
    """Measure one video.

    Args:
        frames: uint8 [T, H, W, 3] of any length and size.
        document: the paths that were asked for.
        tracker: one of `trackers`.
        pictures: uint8 [3, H, W] by entity, for trackers that go by looks.
        anchor: `path` or `thing`, see above.

    Raises:
        ValueError: if the document has no track, or `frames` are none.
    """
    check_queries(frames, ())
    if not document.tracks:
        raise ValueError("the scene has no tracks, expected at least one path to measure against")
    count, height, width, _ = frames.shape
    requested = stretched(sample(document), count, (height, width))
    inside = (requested.points >= 0) & (requested.points <= torch.tensor([width, height]))
    counted = requested.visible & inside.all(-1)
    rows = counted.any(1).nonzero().flatten().tolist()
    queries = []
    for row in rows:
        start = int(counted[row].nonzero()[0])
        x, y = requested.points[row, start].tolist()
        queries.append(Query(start, x, y, (pictures or {}).get(document.tracks[row].entity or "")))
    followed = tracker.follow(frames, queries)
    owners = [track.entity for track in document.tracks]
    alone = [owners[row] is None or owners.count(owners[row]) == 1 for row in rows]
    moved: set[int] = set()
    if anchor == "thing":
        followed, places = _anchored(frames, tracker, queries, followed, alone)
        moved = {rows[place] for place in places}
    measured = torch.full_like(requested.points, torch.nan)
    measured[rows] = followed.points
    # A point that was found in the frame of its query alone was not followed.
    lonely = (measured.isfinite().all(-1) & counted).sum(1) < 2
    if count > 1:
        measured[lonely & (counted.sum(1) > 1)] = torch.nan

    def error(chosen: Sequence[int]) -> PathError:
        return _error(measured, requested.points, counted, chosen)

    entities = {
        entity.id: error([row for row, owner in enumerate(owners) if owner == entity.id])
        for entity in document.entities
    }
    tracks = {track.id: error([row]) for row, track in enumerate(document.tracks)}
    free = [tracks[track.id] for track in document.tracks if track.entity is None]
    everyone = [*(part for part in entities.values() if part.tracks), *free]
    return TrajectoryReport(
        overall=_mean(everyone, error(range(len(owners)))),
        entities=entities,
        tracks=tracks,
        requested=requested,
        counted=counted,
        measured=measured,
        anchors={
            track.id: "thing" if row in moved else "path"
            for row, track in enumerate(document.tracks)
        },
        tracker=tracker.name,
        licence=tracker.licence,
        resolution=followed.resolution,
    )


def _anchored(
    frames: Tensor,
    tracker: Tracker,
    queries: Sequence[Query],
    followed: Followed,
    alone: Sequence[bool],
) -> tuple[Followed, list[int]]:
    """The centres of things instead of places on them; and which queries were moved there."""
    shown = [frame.cpu().numpy() for frame in frames]
    moved: list[int] = []
    again: list[Query] = []
    for index, query in enumerate(queries[:_THINGS]):
        path = followed.points[index].clone()
        path[query.frame] = torch.tensor([query.x, query.y])
        centre = find_thing(shown, query.frame, path.numpy()) if alone[index] else None
        if centre is not None:
            moved.append(index)
            again.append(replace(query, x=centre[0], y=centre[1]))
    points = followed.points.clone()
    if moved:
        points[moved] = tracker.follow(frames, again).points
    return replace(followed, points=points), moved


def stretched(tracks: Tracks, frames: int, size: tuple[int, int]) -> Tracks:
    """Tracks on a video of other length and size: the same fractions of the clip and the frame.

    Args:
        tracks: as they were sampled.
        frames: T of the video.
        size: (height, width) of the video in pixels.
    """
    height, width = size
    scale = torch.tensor([width / tracks.width, height / tracks.height])
    times = torch.linspace(0, tracks.frames - 1, frames, dtype=torch.float64)
    before = times.floor().long()
    after = (before + 1).clamp(max=tracks.frames - 1)
    share = (times - before).float()[:, None]
    points = tracks.points[:, before] * (1 - share) + tracks.points[:, after] * share
    return Tracks(
        points=points * scale,
        visible=tracks.visible[:, (times + 0.5).floor().long()],
        entity=tracks.entity,
        width=width,
        height=height,
        frames=frames,
    )


def _error(measured: Tensor, requested: Tensor, counted: Tensor, rows: Sequence[int]) -> PathError:
    index = torch.tensor(list(rows), dtype=torch.int64)
    measured, requested, counted = measured[index], requested[index], counted[index]
    found = counted & measured.isfinite().all(-1)
    distance = (measured - requested).norm(dim=-1)[found].double()
    return PathError(
        trajectory_error=_number(trajectory_error(measured, requested, counted)),
        euclidean=_number(distance.mean().item()) if len(distance) else None,
        seen=found.sum().item() / max(int(counted.sum()), 1),
        tracks=len(index),
    )


def _mean(parts: Sequence[PathError], pooled: PathError) -> PathError:
    """The mean of parts that were measured; seen and tracks of all points together."""
    errors = [part.trajectory_error for part in parts if part.trajectory_error is not None]
    lengths = [part.euclidean for part in parts if part.euclidean is not None]
    if not errors:
        return pooled
    return PathError(
        sum(errors) / len(errors), sum(lengths) / len(lengths), pooled.seen, pooled.tracks
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
