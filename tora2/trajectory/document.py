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

VERSION = 2
"""The newest version. A document that uses nothing of it is written as version 1 (`to_dict`)."""

MAX_TEXT = 4 * 1024 * 1024
MAX_TRACKS = 512
MAX_POINTS = 1024
MAX_FRAMES = 1025
MAX_ENTITIES = 64
MIN_SIDE, MAX_SIDE = 16, 8192
MAX_FRACTION = 16
MAX_HIDDEN = 64
MAX_CAMERA_KEYS = 256
MIN_SCALE, MAX_SCALE = 0.01, 100
MIN_ZOOM, MAX_ZOOM = 0.05, 20
MAX_ROLL = 3600
OUTSIDE = ("absent", "wait")
CURVES = ("spline", "linear")
EASINGS = ("linear", "in", "out", "in-out")
PALETTE = ("#e4572e", "#2e86de", "#29a36a", "#f0a202", "#8e44ad", "#17a2b8", "#d6336c", "#7a6a53")

GRID = COGVIDEOX
"""Whose frame rule version 1 of the document keeps, whichever model reads it."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_NAME = "a trajectory document"
_TRACK_DEFAULTS: dict[str, object] = {
    "name": None,
    "group": None,
    "before": "absent",
    "after": "absent",
    "hidden": [],
    "tension": 0.0,
}
_TRACK_KEYS = ("entity", "curve", "start", "end", "easing", *_TRACK_DEFAULTS)
_POINT_KEYS = ("frame", "scale", "arrive", "leave")


Easing = str | tuple[float, float, float, float]
"""One of `EASINGS`, or the handles (x1, y1, x2, y2), all within [0, 1], of a cubic Bezier from
(0, 0) to (1, 1): progress y over time x, as in CSS."""


@dataclass(frozen=True, slots=True)
class Point:
    """A control point: fractions of width and height, origin top-left, y down.

    Attributes:
        frame: at which the track passes here, or None where arc length decides.
        scale: size of the entity here, 1 where it is as large as in its picture or box; or None
            where the points before and after decide.
        arrive: the Bezier handle (x, y) on the side that the point is reached from, in fractions
            away from it; or None where the spline decides.
        leave: the same on the side that it is left to.
    """

    x: float
    y: float
    frame: int | None = None
    scale: float | None = None
    arrive: tuple[float, float] | None = None
    leave: tuple[float, float] | None = None


@dataclass(frozen=True)
class Track:
    """A path in time; it moves from frame `start` to frame `end`, both included.

    Attributes:
        before: `absent`, not visible before `start`, or `wait`, resting at its first point.
        after: the same after `end`, at its last point.
        hidden: (first, last) frames of stretches at which it is not visible, both included,
            increasing and apart.
        tension: of a spline, from -1 (loose) over 0 (Catmull-Rom) to 1 (straight).
        name: what people call it, for the editor alone.
        group: tracks of one group are moved as one, in the editor alone.
    """

    id: str
    points: tuple[Point, ...]
    start: int
    end: int
    entity: str | None = None
    curve: str = "spline"
    easing: Easing = "linear"
    before: str = "absent"
    after: str = "absent"
    hidden: tuple[tuple[int, int], ...] = ()
    tension: float = 0.0
    name: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class CameraKey:
    """Where the camera looks at a frame.

    Attributes:
        x: how far its middle is right of the frame's, in fractions of the width.
        y: how far it is below, in fractions of the height.
        zoom: how much larger all things are.
        roll: how far it is turned clockwise, in degrees; the picture turns the other way.
    """

    frame: int
    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0
    roll: float = 0.0


@dataclass(frozen=True)
class Camera:
    """A camera over all tracks: keys in increasing frames, eased from one to the next."""

    keys: tuple[CameraKey, ...]
    easing: Easing = "linear"


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
    camera: Camera | None = None


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
    """The document as plain JSON values.

    It says version 1, with every default written out, unless it uses something of version 2; so
    what older programs can read stays readable to them, and workflows stay as they were.
    """
    camera = document.camera
    newer = camera is not None or any(_is_newer(track) for track in document.tracks)
    content: dict[str, object] = {
        "version": VERSION if newer else 1,
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
                "easing": _easing_value(track.easing),
            }
            | _newer(track)
            for track in document.tracks
        ],
    }
    if camera is not None:
        keys = [_camera_key_dict(key) for key in camera.keys]
        content["camera"] = {"keys": keys, "easing": _easing_value(camera.easing)}
    return content


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
    if point.frame is not None:
        place["frame"] = point.frame
    if point.scale is not None:
        place["scale"] = point.scale
    if point.arrive is not None:
        place["arrive"] = list(point.arrive)
    if point.leave is not None:
        place["leave"] = list(point.leave)
    return place


def _easing_value(easing: Easing) -> object:
    return easing if isinstance(easing, str) else list(easing)


def _newer(track: Track) -> dict[str, object]:
    """What of a track only version 2 can say, apart from its points and its easing."""
    values: dict[str, object] = {
        "name": track.name,
        "group": track.group,
        "before": track.before,
        "after": track.after,
        "hidden": [list(span) for span in track.hidden],
        "tension": track.tension,
    }
    return {key: value for key, value in values.items() if value != _TRACK_DEFAULTS[key]}


def _is_newer(track: Track) -> bool:
    return (
        not isinstance(track.easing, str)
        or bool(_newer(track))
        or any((p.scale, p.arrive, p.leave) != (None, None, None) for p in track.points)
    )


def _camera_key_dict(key: CameraKey) -> dict[str, object]:
    return {"frame": key.frame, "x": key.x, "y": key.y, "zoom": key.zoom, "roll": key.roll}


def _document(value: object) -> TrajectoryDocument:
    fields = mapping(
        value, "", ("version", "width", "height", "frames", "tracks"), ("fps", "entities", "camera")
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
        camera=_camera(fields["camera"], frames) if fields.get("camera") is not None else None,
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
    fields = mapping(value, path, ("id", "points"), _TRACK_KEYS)
    entity = fields.get("entity")
    if entity is not None and (not isinstance(entity, str) or entity not in entities):
        raise refuse(child(path, "entity"), entity, "null or the id of one of the entities")
    start = integer(fields.get("start", 0), child(path, "start"), 0, frames - 1)
    end = integer(fields.get("end", frames - 1), child(path, "end"), start, frames - 1)
    points_path = child(path, "points")
    points = _points(sequence(fields["points"], points_path, 1, MAX_POINTS), points_path, frames)
    _check_keys(points, points_path, start, end)
    name, group = fields.get("name"), fields.get("group")
    return Track(
        id=_identifier(fields["id"], child(path, "id")),
        points=points,
        start=start,
        end=end,
        entity=entity,
        curve=choice(fields.get("curve", "spline"), child(path, "curve"), CURVES),
        easing=_easing(fields.get("easing", "linear"), child(path, "easing")),
        before=choice(fields.get("before", "absent"), child(path, "before"), OUTSIDE),
        after=choice(fields.get("after", "absent"), child(path, "after"), OUTSIDE),
        hidden=_hidden(fields.get("hidden", ()), child(path, "hidden"), frames),
        tension=number(fields.get("tension", 0.0), child(path, "tension"), -1, 1),
        name=None if name is None else text(name, child(path, "name"), 80),
        group=None if group is None else _identifier(group, child(path, "group")),
    )


def _easing(value: object, path: str) -> Easing:
    if not isinstance(value, list | tuple):
        return choice(value, path, EASINGS)
    x1, y1, x2, y2 = (
        number(part, f"{path}[{index}]", 0, 1)
        for index, part in enumerate(sequence(value, path, 4, 4))
    )
    return x1, y1, x2, y2


def _hidden(value: object, path: str, frames: int) -> tuple[tuple[int, int], ...]:
    spans = []
    after = 0
    for index, item in enumerate(sequence(value, path, 0, MAX_HIDDEN)):
        here = f"{path}[{index}]"
        first, last = sequence(item, here, 2, 2)
        start = integer(first, f"{here}[0]", after, frames - 1)
        end = integer(last, f"{here}[1]", start, frames - 1)
        spans.append((start, end))
        after = end + 1
    return tuple(spans)


def _camera(value: object, frames: int) -> Camera:
    fields = mapping(value, "camera", ("keys",), ("easing",))
    keys = []
    after = 0
    for index, item in enumerate(sequence(fields["keys"], "camera.keys", 1, MAX_CAMERA_KEYS)):
        path = f"camera.keys[{index}]"
        key = mapping(item, path, ("frame",), ("x", "y", "zoom", "roll"))
        frame = integer(key["frame"], child(path, "frame"), after, frames - 1)
        keys.append(
            CameraKey(
                frame,
                number(key.get("x", 0.0), child(path, "x"), -MAX_FRACTION, MAX_FRACTION),
                number(key.get("y", 0.0), child(path, "y"), -MAX_FRACTION, MAX_FRACTION),
                number(key.get("zoom", 1.0), child(path, "zoom"), MIN_ZOOM, MAX_ZOOM),
                number(key.get("roll", 0.0), child(path, "roll"), -MAX_ROLL, MAX_ROLL),
            )
        )
        after = frame + 1
    return Camera(tuple(keys), _easing(fields.get("easing", "linear"), "camera.easing"))


def _points(items: Sequence[object], path: str, frames: int) -> tuple[Point, ...]:
    try:
        return tuple(_point(item, "", frames) for item in items)
    except ValueError:  # once more, with the names that would take most of the time of large ones
        return tuple(_point(item, f"{path}[{index}]", frames) for index, item in enumerate(items))


def _point(value: object, path: str, frames: int) -> Point:
    fields = mapping(value, path, ("x", "y"), _POINT_KEYS)
    x = number(fields["x"], child(path, "x"), -MAX_FRACTION, MAX_FRACTION)
    y = number(fields["y"], child(path, "y"), -MAX_FRACTION, MAX_FRACTION)
    if len(fields) == 2:  # as in most of a thousand points
        return Point(x, y)
    return Point(
        x,
        y,
        integer(fields["frame"], child(path, "frame"), 0, frames - 1)
        if "frame" in fields
        else None,
        number(fields["scale"], child(path, "scale"), MIN_SCALE, MAX_SCALE)
        if "scale" in fields
        else None,
        _handle(fields["arrive"], child(path, "arrive")) if "arrive" in fields else None,
        _handle(fields["leave"], child(path, "leave")) if "leave" in fields else None,
    )


def _handle(value: object, path: str) -> tuple[float, float]:
    x, y = (
        number(part, f"{path}[{axis}]", -MAX_FRACTION, MAX_FRACTION)
        for axis, part in enumerate(sequence(value, path, 2, 2))
    )
    return x, y


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


def _from_version_1(value: Mapping[str, object]) -> Mapping[str, object]:
    """Version 1 says the same in the same words; it may not use those that came later."""
    _refuse_later(value, "", ("camera",))
    tracks = value.get("tracks")
    for index, track in enumerate(tracks if isinstance(tracks, list | tuple) else ()):
        path = f"tracks[{index}]"
        _refuse_later(track, path, tuple(_TRACK_DEFAULTS))
        if isinstance(track, Mapping):
            if isinstance(track.get("easing"), list | tuple):
                raise refuse(child(path, "easing"), track["easing"], f"one of {', '.join(EASINGS)}")
            points = track.get("points")
            for place, point in enumerate(points if isinstance(points, list | tuple) else ()):
                _refuse_later(point, f"{path}.points[{place}]", _POINT_KEYS[1:])
    return {**value, "version": 2}


def _refuse_later(value: object, path: str, keys: tuple[str, ...]) -> None:
    found = isinstance(value, Mapping) and next((key for key in keys if key in value), None)
    if found:
        name = path or "the document"
        raise ValueError(f"{name} has the unknown key {found!r}, which a document of version 2 has")


_MIGRATIONS: dict[int, Callable[[Mapping[str, object]], Mapping[str, object]]] = {
    0: _from_version_0,
    1: _from_version_1,
}
