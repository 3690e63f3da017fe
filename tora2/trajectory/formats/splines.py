"""Spline Path Control's scenes: JSON, as it stands behind the pictures that its web page saves."""

from __future__ import annotations

from collections.abc import Mapping

from ...fields import child, finite, integer, mapping, sequence, show
from ..document import GRID, MAX_FRAMES, MAX_POINTS, MAX_TRACKS, TrajectoryDocument, parse

MARKER = b"SPLINEDATA::"
"""Stands between the picture and the scene."""

DEFAULT_FRAMES = 80


def is_scene(value: object) -> bool:
    """Whether JSON is such a scene."""
    return isinstance(value, Mapping) and ("splines" in value or "staticShapes" in value)


def from_scene(value: Mapping[str, object], size: tuple[int, int]) -> TrajectoryDocument:
    """Splines and static shapes as tracks, with their frames; what stays at its end waits there.

    Easing and size curves are not read.

    Args:
        value: the scene; its coordinates are pixels of its own canvas.
        size: (height, width) of the canvas of the document in pixels.
    """
    canvas = value.get("originalImageDimensions")
    sides = canvas if isinstance(canvas, Mapping) else {}
    width = _side(sides.get("width", size[1]), "width")
    height = _side(sides.get("height", size[0]), "height")
    tracks: list[dict[str, object]] = []
    for kind in ("splines", "staticShapes"):
        items = sequence(value.get(kind) or (), kind, 0, MAX_TRACKS)
        for index, item in enumerate(items):
            path = f"{kind}[{index}]"
            fields = item if isinstance(item, Mapping) else mapping(item, path, ())
            place = [fields["pos"]] if "pos" in fields else fields.get("points", ())
            points = sequence(place, f"{path}.points", 1, MAX_POINTS)
            start = integer(fields.get("startFrame", 0), child(path, "startFrame"), 0, MAX_FRAMES)
            frames = fields.get("totalFrames", DEFAULT_FRAMES)
            lasts = integer(frames, child(path, "totalFrames"), 0, MAX_FRAMES)
            track: dict[str, object] = {
                "id": f"t{len(tracks) + 1}",
                "points": [
                    _point(point, f"{path}.points[{place}]", width, height)
                    for place, point in enumerate(points)
                ],
                "start": start,
                "end": start + max(0, lasts - 1),
            }
            if fields.get("hideOnComplete") is False:
                track["after"] = "wait"
            tracks.append(track)
    last = max((int(str(track["end"])) for track in tracks), default=0)
    if last >= MAX_FRAMES:
        raise ValueError(f"the scene has {last + 1} frames, expected at most {MAX_FRAMES}")
    return parse(
        {
            "version": 2,
            "width": size[1],
            "height": size[0],
            "frames": GRID.rounded_frames(last + 1),
            "tracks": tracks,
        }
    )


def _side(value: object, name: str) -> float:
    side = finite(value, f"originalImageDimensions.{name}")
    if side <= 0:
        raise ValueError(f"originalImageDimensions.{name} is {show(value)}, expected a size")
    return side


def _point(value: object, path: str, width: float, height: float) -> dict[str, float]:
    place = value if isinstance(value, Mapping) else mapping(value, path, ("x", "y"))
    x, y = finite(place.get("x"), child(path, "x")), finite(place.get("y"), child(path, "y"))
    return {"x": x / width, "y": y / height}
