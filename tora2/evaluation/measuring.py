"""Did it follow: the paths of a scene against where its things are in any video.

The rules, which every report keeps:

- The canvas is stretched over the video, and the clip over its length: a path keeps its fractions
  of the frame and of the time, as when a document is resized. Only where no document has the
  video's length and this one has the next longer one, as `track` writes it, is it cut instead.
- A path is followed from where it first is visible and within the frame, both ways: what is at that
  very place (the anchor `path`, as the paper does), be it the ground; or the centre of the thing
  that is the path's by the rule of `matching` (the anchor `thing`), where there is one; or of what
  looks as the entity's picture, where nothing that moves is the path's. What the
  anchor `path` gives stands beside it in either case, and it is said of a path that moves when what
  is where it begins rests.
- Points count where the path is visible and within the frame, and the tracker found something; the
  share of points found stands beside every number. What is found in one frame alone was not
  followed, and counts nowhere.
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
from ..trajectory.document import GRID
from .looks import find_by_looks
from .matching import Thing, matched, moving_things
from .metrics import trajectory_error
from .trackers import Query, Tracker, check_queries

ANCHORS = ("path", "thing")
_NEAR, _NEAREST, _NEARLY = 0.1, 2.0, 4.0  # of the radius, and pixels: there a path is the centre's
_STRAYS = 6.0  # pixels from the thing's centre at which what begins there has left it
_RESTS, _GOES = 2.0, 10.0  # pixels that what rests goes at most, and what moves at least


@dataclass(frozen=True)
class PathError:
    """What was measured of an entity or a track, or of several.

    Attributes:
        trajectory_error: mean of |dx| + |dy| in pixels of the video; None where nothing was found.
        euclidean: mean distance in pixels, likewise.
        seen: share of the points that count at which something was found.
        tracks: paths it has.
        points: of these paths that count: they are visible and within the frame.
    """

    trajectory_error: float | None
    euclidean: float | None
    seen: float
    tracks: int
    points: int = 0


@dataclass(frozen=True)
class Errors:
    """Errors of all paths of a video.

    Attributes:
        overall: mean over entities with tracks and tracks without an entity.
        entities: by id, those without tracks too.
        tracks: by id.
    """

    overall: PathError
    entities: dict[str, PathError]
    tracks: dict[str, PathError]


@dataclass(frozen=True, eq=False)
class TrajectoryReport:
    """How a video kept to its paths.

    Attributes:
        overall, entities, tracks: as in `Errors`.
        at_path: what the anchor `path` gives, whichever was chosen.
        requested: the paths on the video's frames, in its pixels.
        counted: [N, T] bool, where a path is visible and within the frame.
        measured: [N, T, 2] pixels, NaN where nothing was found.
        anchors: by track, `path`, or `thing` or `looks` for a thing: what was followed.
        resting: tracks that move, while what is where they begin rests, as the ground does.
        tracker, licence: what found it.
        resolution: (height, width) at which the tracker looked.
    """

    overall: PathError
    entities: dict[str, PathError]
    tracks: dict[str, PathError]
    at_path: Errors
    requested: Tracks
    counted: Tensor
    measured: Tensor
    anchors: dict[str, str]
    resting: tuple[str, ...]
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
    requested, counted = asked(document, count, (height, width))
    rows = counted.any(1).nonzero().flatten().tolist()
    queries = []
    for row in rows:
        start = int(counted[row].nonzero()[0])
        x, y = requested.points[row, start].tolist()
        queries.append(Query(start, x, y, (pictures or {}).get(document.tracks[row].entity or "")))
    followed = tracker.follow(frames, queries)
    at_path = torch.full_like(requested.points, torch.nan)
    at_path[rows] = followed.points
    _drop_lonely(at_path, counted, tracker)
    measured = at_path.clone()
    things: dict[int, Thing] = {}
    if anchor == "thing":
        owners = [track.entity for track in document.tracks]
        alone = [row for row in rows if owners[row] is None or owners.count(owners[row]) == 1]
        things = _things(frames, tracker, requested, counted, at_path, alone)
        still = [query for query, row in zip(queries, rows, strict=True) if row in alone]
        for row, query in zip(alone, still, strict=True):
            if row not in things and query.picture is not None:
                found = _by_looks(frames, tracker, query, requested, at_path[row], counted[row])
                things |= {} if found is None else {row: found}
        for row, thing in things.items():
            measured[row] = torch.from_numpy(thing.points)
        _drop_lonely(measured, counted, tracker)
    names = [track.id for track in document.tracks]
    errors = _errors(measured, requested.points, counted, document)
    return TrajectoryReport(
        overall=errors.overall,
        entities=errors.entities,
        tracks=errors.tracks,
        at_path=_errors(at_path, requested.points, counted, document),
        requested=requested,
        counted=counted,
        measured=measured,
        anchors={
            name: things[row].told if row in things else "path" for row, name in enumerate(names)
        },
        resting=tuple(
            name
            for row, name in enumerate(names)
            if row not in things and _rests(at_path[row], requested.points[row], counted[row])
        ),
        tracker=tracker.name,
        licence=tracker.licence,
        resolution=followed.resolution,
    )


def asked(
    document: TrajectoryDocument, frames: int, size: tuple[int, int]
) -> tuple[Tracks, Tensor]:
    """The paths on a video of T frames, and [N, T] bool where they are visible and within it.

    Args:
        document: the paths.
        frames: T.
        size: (height, width) of the video in pixels.
    """
    height, width = size
    requested = stretched(sample(document), frames, size)
    inside = (requested.points >= 0) & (requested.points <= torch.tensor([width, height]))
    return requested, requested.visible & inside.all(-1)


def _things(
    frames: Tensor,
    tracker: Tracker,
    requested: Tracks,
    counted: Tensor,
    at_path: Tensor,
    rows: Sequence[int],
) -> dict[int, Thing]:
    """The things that are followed in place of where paths of `rows` begin."""
    begins = [int(counted[row].nonzero()[0]) for row in rows]
    diagonal = math.hypot(requested.width, requested.height)
    paths = requested.points[list(rows)].numpy()
    found = matched(
        paths, counted[list(rows)].numpy(), moving_things(frames, tracker, begins), diagonal
    )
    chosen = {}
    for place, thing in found.items():
        row = rows[place]
        points = torch.from_numpy(thing.points)
        both = (_found(points) & counted[row]).nonzero().flatten()
        begin = int(both[0])
        apart = float((points[begin] - requested.points[row, begin]).norm())
        near = apart <= min(max(_NEAR * thing.radius, _NEAREST), _NEARLY)
        if not (near and _same(at_path[row], points, counted[row])):
            chosen[row] = thing
    return chosen


def _by_looks(
    frames: Tensor,
    tracker: Tracker,
    query: Query,
    requested: Tracks,
    at_path: Tensor,
    counted: Tensor,
) -> Thing | None:
    """What looks as a path's entity in the frame in which the path begins, if it is beside it."""
    if query.picture is None or _goes(at_path, counted) > _RESTS:
        return None
    cut_out = query.picture.movedim(0, -1).contiguous().cpu().numpy()
    found = find_by_looks(frames[query.frame].cpu().numpy(), cut_out)
    if found is None:
        return None
    x, y, radius = found
    near = min(max(_NEAR * radius, _NEAREST), _NEARLY)
    if math.dist((x, y), (query.x, query.y)) <= near:
        return None
    x, y = min(x, float(requested.width)), min(y, float(requested.height))
    followed = tracker.follow(frames, [Query(query.frame, x, y, query.picture)])
    return Thing(radius, followed.points[0].numpy(), "looks")


def _goes(points: Tensor, counted: Tensor) -> float:
    """How far what was followed goes from where it began, in pixels."""
    both = counted & _found(points)
    if int(both.sum()) < 2:
        return 0.0
    return float((points[both] - points[both][0]).norm(dim=-1).max())


def _same(at_path: Tensor, points: Tensor, counted: Tensor) -> bool:
    """Whether what is where a path begins goes as the thing there does, and is seen as long."""
    one, other = _found(at_path) & counted, _found(points) & counted
    both = one & other
    gap = (at_path - points)[both].norm(dim=-1)
    return bool(one.sum() >= other.sum()) and bool((gap < _STRAYS).all())


def _found(points: Tensor) -> Tensor:
    return points.isfinite().all(-1)


def _drop_lonely(measured: Tensor, counted: Tensor, tracker: Tracker) -> None:
    """Forget points that were found in one frame alone: nothing was followed.

    A tracker that goes by looks finds a thing in one frame where it is; any other has only been
    told, and its error would be 0.
    """
    lonely = (_found(measured) & counted).sum(1) < 2
    if tracker.name == "colour":
        lonely &= counted.sum(1) > 1
    measured[lonely] = torch.nan


def _rests(points: Tensor, path: Tensor, counted: Tensor) -> bool:
    both = counted & _found(points)
    return int(both.sum()) > 1 and _goes(points, both) < _RESTS and _goes(path, both) > _GOES


def _errors(
    measured: Tensor, requested: Tensor, counted: Tensor, document: TrajectoryDocument
) -> Errors:
    owners = [track.entity for track in document.tracks]

    def error(chosen: Sequence[int]) -> PathError:
        return _error(measured, requested, counted, chosen)

    entities = {
        entity.id: error([row for row, owner in enumerate(owners) if owner == entity.id])
        for entity in document.entities
    }
    tracks = {track.id: error([row]) for row, track in enumerate(document.tracks)}
    free = [tracks[track.id] for track in document.tracks if track.entity is None]
    everyone = [*(part for part in entities.values() if part.tracks), *free]
    return Errors(_mean(everyone, error(range(len(owners)))), entities, tracks)


def is_cut(asked: int, frames: int) -> bool:
    """Whether paths of `asked` frames were rounded up from a video of `frames`."""
    return frames < asked == GRID.rounded_frames(frames)


def stretched(tracks: Tracks, frames: int, size: tuple[int, int]) -> Tracks:
    """Tracks on a video of other length and size: the same fractions of the clip and the frame.

    They are cut rather than stretched in time where `is_cut` says so.

    Args:
        tracks: as they were sampled.
        frames: T of the video.
        size: (height, width) of the video in pixels.
    """
    height, width = size
    scale = torch.tensor([width / tracks.width, height / tracks.height])
    last = frames - 1 if is_cut(tracks.frames, frames) else tracks.frames - 1
    times = torch.linspace(0, last, frames, dtype=torch.float64)
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
    found = counted & _found(measured)
    distance = (measured - requested).norm(dim=-1)[found].double()
    return PathError(
        trajectory_error=_number(trajectory_error(measured, requested, counted)),
        euclidean=_number(distance.mean().item()) if len(distance) else None,
        seen=found.sum().item() / max(int(counted.sum()), 1),
        tracks=len(index),
        points=int(counted.sum()),
    )


def _mean(parts: Sequence[PathError], pooled: PathError) -> PathError:
    """The mean of parts that were measured; seen and tracks of all points together."""
    errors = [part.trajectory_error for part in parts if part.trajectory_error is not None]
    lengths = [part.euclidean for part in parts if part.euclidean is not None]
    if not errors:
        return pooled
    error, length = sum(errors) / len(errors), sum(lengths) / len(lengths)
    return replace(pooled, trajectory_error=error, euclidean=length)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
