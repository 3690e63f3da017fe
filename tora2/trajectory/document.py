"""The trajectory document: what the editor saves and everything else reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..fields import (
    child,
    choice,
    finite,
    integer,
    load_json,
    mapping,
    number,
    refuse,
    sequence,
    show,
    text,
)
from ..geometry import COGVIDEOX

VERSION = 1
MAX_TEXT = 4 * 1024 * 1024
MAX_TRACKS = 512
MAX_POINTS = 1024
MAX_FRAMES = 1025
MAX_ENTITIES = 64
MIN_SIDE, MAX_SIDE = 16, 8192
MAX_FRACTION = 16
CURVES = ("spline", "linear")
EASINGS = ("linear", "in", "out", "in-out")
PALETTE = ("#e4572e", "#2e86de", "#29a36a", "#f0a202", "#8e44ad", "#17a2b8", "#d6336c", "#7a6a53")

GRID = COGVIDEOX
"""Whose frame rule version 1 of the document keeps, whichever model reads it."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_NAME = "a trajectory document"


@dataclass(frozen=True, slots=True)
class Point:
    """A control point: fractions of width and height, origin top-left, y down.

    `frame` is the frame at which the track passes here, or None where arc length decides.
    """

    x: float
    y: float
    frame: int | None = None


@dataclass(frozen=True)
class Track:
    """A path in time; visible from frame `start` to frame `end`, both included."""

    id: str
    points: tuple[Point, ...]
    start: int
    end: int
    entity: str | None = None
    curve: str = "spline"
    easing: str = "linear"


@dataclass(frozen=True)
class Entity:
    """Something that tracks belong to; `color` is `#rrggbb`, for the editor alone."""

    id: str
    name: str
    color: str


@dataclass(frozen=True)
class TrajectoryDocument:
    """Tracks and their entities on a canvas of `width` x `height` pixels and `frames` frames."""

    width: int
    height: int
    frames: int
    tracks: tuple[Track, ...] = ()
    entities: tuple[Entity, ...] = ()
    fps: float = 8.0


def parse(value: Mapping[str, object] | str | bytes) -> TrajectoryDocument:
    """Read and check a trajectory document; older versions are migrated.

    Args:
        value: the document as a mapping, or as JSON text of at most 4 MiB.

    Returns:
        The document with every default filled in; `parse(to_dict(document)) == document`.

    Raises:
        ValueError: with one sentence that names the path, the value and what was expected.
    """
    content = load_json(value, _NAME, MAX_TEXT) if isinstance(value, str | bytes) else value
    if not isinstance(content, Mapping):
        raise refuse("", content, "an object")
    if "version" not in content:
        raise ValueError(f"the document has no key 'version', expected {VERSION}")
    version = content["version"]
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise refuse("version", version, f"an integer from 0 to {VERSION}")
    if version > VERSION:
        raise ValueError(
            f"version is {show(version)}, expected at most {VERSION}: "
            "a newer Tora2 wrote this document"
        )
    while version < VERSION:
        content = _MIGRATIONS[version](content)
        version += 1
    return _document(content)


def to_dict(document: TrajectoryDocument) -> dict[str, object]:
    """The document as plain JSON values, every default written out."""
    return {
        "version": VERSION,
        "width": document.width,
        "height": document.height,
        "frames": document.frames,
        "fps": document.fps,
        "entities": [
            {"id": entity.id, "name": entity.name, "color": entity.color}
            for entity in document.entities
        ],
        "tracks": [
            {
                "id": track.id,
                "entity": track.entity,
                "curve": track.curve,
                "points": [_point_dict(point) for point in track.points],
                "start": track.start,
                "end": track.end,
                "easing": track.easing,
            }
            for track in document.tracks
        ],
    }


def dumps(document: TrajectoryDocument) -> str:
    """The document as JSON text that `parse` reads.

    Raises:
        ValueError: if the text is longer than `parse` accepts.
    """
    result = json.dumps(to_dict(document), separators=(",", ":"), allow_nan=False)
    if len(result) > MAX_TEXT:
        raise ValueError(
            f"the document is {len(result)} bytes of JSON, expected at most {MAX_TEXT}"
        )
    return result


def _point_dict(point: Point) -> dict[str, object]:
    place: dict[str, object] = {"x": point.x, "y": point.y}
    return place if point.frame is None else place | {"frame": point.frame}


def _document(value: object) -> TrajectoryDocument:
    fields = mapping(
        value, "", ("version", "width", "height", "frames", "tracks"), ("fps", "entities")
    )
    frames = _frames(fields["frames"])
    entities = tuple(
        _entity(item, f"entities[{index}]", index)
        for index, item in enumerate(
            sequence(fields.get("entities", ()), "entities", 0, MAX_ENTITIES)
        )
    )
    _check_unique([entity.id for entity in entities], "entities")
    known = frozenset(entity.id for entity in entities)
    tracks = tuple(
        _track(item, f"tracks[{index}]", frames, known)
        for index, item in enumerate(sequence(fields["tracks"], "tracks", 0, MAX_TRACKS))
    )
    _check_unique([track.id for track in tracks], "tracks")
    return TrajectoryDocument(
        width=integer(fields["width"], "width", MIN_SIDE, MAX_SIDE),
        height=integer(fields["height"], "height", MIN_SIDE, MAX_SIDE),
        frames=frames,
        tracks=tracks,
        entities=entities,
        fps=number(fields.get("fps", 8.0), "fps", 0.1, 1000),
    )


def _frames(value: object) -> int:
    frames = integer(value, "frames", 1, MAX_FRAMES)
    GRID.check_frames(frames)
    return frames


def _entity(value: object, path: str, index: int) -> Entity:
    fields = mapping(value, path, ("id",), ("name", "color"))
    identifier = _identifier(fields["id"], child(path, "id"))
    color = fields.get("color", PALETTE[index % len(PALETTE)])
    if not isinstance(color, str) or not _COLOR.fullmatch(color):
        raise refuse(child(path, "color"), color, "a colour such as #e4572e")
    return Entity(identifier, text(fields.get("name", identifier), child(path, "name"), 80), color)


def _track(value: object, path: str, frames: int, entities: frozenset[str]) -> Track:
    fields = mapping(value, path, ("id", "points"), ("entity", "curve", "start", "end", "easing"))
    entity = fields.get("entity")
    if entity is not None and (not isinstance(entity, str) or entity not in entities):
        raise refuse(child(path, "entity"), entity, "null or the id of one of the entities")
    start = integer(fields.get("start", 0), child(path, "start"), 0, frames - 1)
    end = integer(fields.get("end", frames - 1), child(path, "end"), start, frames - 1)
    points_path = child(path, "points")
    points = _points(sequence(fields["points"], points_path, 1, MAX_POINTS), points_path, frames)
    _check_keys(points, points_path, start, end)
    return Track(
        id=_identifier(fields["id"], child(path, "id")),
        points=points,
        start=start,
        end=end,
        entity=entity,
        curve=choice(fields.get("curve", "spline"), child(path, "curve"), CURVES),
        easing=choice(fields.get("easing", "linear"), child(path, "easing"), EASINGS),
    )


def _points(items: Sequence[object], path: str, frames: int) -> tuple[Point, ...]:
    try:
        return tuple(_point(item, "", frames) for item in items)
    except ValueError:  # once more, with the names that would take most of the time of large ones
        return tuple(_point(item, f"{path}[{index}]", frames) for index, item in enumerate(items))


def _point(value: object, path: str, frames: int) -> Point:
    fields = mapping(value, path, ("x", "y"), ("frame",))
    return Point(
        number(fields["x"], child(path, "x"), -MAX_FRACTION, MAX_FRACTION),
        number(fields["y"], child(path, "y"), -MAX_FRACTION, MAX_FRACTION),
        integer(fields["frame"], child(path, "frame"), 0, frames - 1)
        if "frame" in fields
        else None,
    )


def _check_keys(points: tuple[Point, ...], path: str, start: int, end: int) -> None:
    """Key frames increase along the points, from `start` at the first to `end` at the last."""
    last = len(points) - 1
    previous = start
    for index, point in enumerate(points):
        frame, here = point.frame, f"{path}[{index}].frame"
        if frame is None:
            continue
        if index == 0:
            if frame != start:
                raise refuse(here, frame, f"{start}, the start of the track, at its first point")
        elif index == last:
            if frame != end:
                raise refuse(here, frame, f"{end}, the end of the track, at its last point")
        elif not previous < frame < end:
            raise refuse(here, frame, f"a frame after {previous} and before {end}")
        else:
            previous = frame


def _identifier(value: object, path: str) -> str:
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise refuse(path, value, "1 to 64 letters, digits, _ or -")
    return value


def _check_unique(identifiers: list[str], path: str) -> None:
    seen: set[str] = set()
    for index, identifier in enumerate(identifiers):
        if identifier in seen:
            raise refuse(f"{path}[{index}].id", identifier, "an id that occurs once")
        seen.add(identifier)


def _from_version_0(value: Mapping[str, object]) -> Mapping[str, object]:
    """The first sketch: bare lists of pixel points, all of them free spline tracks."""
    fields = mapping(value, "", ("version", "width", "height", "frames", "tracks"))
    width = integer(fields["width"], "width", MIN_SIDE, MAX_SIDE)
    height = integer(fields["height"], "height", MIN_SIDE, MAX_SIDE)
    tracks = []
    for index, item in enumerate(sequence(fields["tracks"], "tracks", 0, MAX_TRACKS)):
        points = []
        for place, point in enumerate(sequence(item, f"tracks[{index}]", 1, MAX_POINTS)):
            path = f"tracks[{index}][{place}]"
            xy = mapping(point, path, ("x", "y"))
            x, y = finite(xy["x"], child(path, "x")), finite(xy["y"], child(path, "y"))
            points.append({"x": x / width, "y": y / height})
        tracks.append({"id": f"t{index + 1}", "points": points})
    return {
        "version": 1,
        "width": width,
        "height": height,
        "frames": fields["frames"],
        "tracks": tracks,
    }


_MIGRATIONS: dict[int, Callable[[Mapping[str, object]], Mapping[str, object]]] = {
    0: _from_version_0
}
