"""Spline Path Control's scenes: JSON, as it stands behind the pictures that its web page saves.

A spline is cubic Bezier curves whose handles are `tension` / 6 of the way from the point before to
the point after, so that tension 0 is straight. `easingCurve` and `scaleCurve` are straight pieces
over the time of a spline or shape: how far it has come, and half the octaves of its size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...fields import child, finite, integer, mapping, number, sequence, show
from ..document import GRID, MAX_FRAMES, MAX_POINTS, MAX_TRACKS, TrajectoryDocument, parse
from .pacing import Curve, paced, stops, tangents

MARKER = b"SPLINEDATA::"
"""Stands between the picture and the scene."""

DEFAULT_FRAMES = 80
_EVEN: Curve = ((0, 0), (1, 1))
_SAME: Curve = ((0, 0), (1, 0))
_HALF_OCTAVES = 13.0
"""Sizes of a document lie between 2 to the power of minus and plus half of it."""


def is_scene(value: object) -> bool:
    """Whether JSON is such a scene."""
    return isinstance(value, Mapping) and ("splines" in value or "staticShapes" in value)


def from_scene(value: Mapping[str, object], size: tuple[int, int]) -> TrajectoryDocument:
    """Splines and static shapes as tracks, with their frames; what stays at its end waits there.

    Sizes are those of the curve; how large a shape is drawn at size 1 is not read.

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
            given = [fields["pos"]] if "pos" in fields else fields.get("points", ())
            places = sequence(given, f"{path}.points", 1, MAX_POINTS)
            points = np.array([_point(p, f"{path}.points[{n}]") for n, p in enumerate(places)])
            start = integer(fields.get("startFrame", 0), child(path, "startFrame"), 0, MAX_FRAMES)
            frames = fields.get("totalFrames", DEFAULT_FRAMES)
            lasts = integer(frames, child(path, "totalFrames"), 0, MAX_FRAMES)
            end = start + max(0, lasts - 1)
            tension = number(fields.get("tension", 0), child(path, "tension"), -10, 10)
            smooth = tension != 0 and len(points) > 2
            pace = stops(
                _curve(fields.get("easingCurve"), child(path, "easingCurve"), (0, 1), _EVEN),
                _curve(
                    fields.get("scaleCurve"),
                    child(path, "scaleCurve"),
                    (-_HALF_OCTAVES, _HALF_OCTAVES),
                    _SAME,
                ),
            )
            handles = tangents(points, tension / 6) if smooth else None
            track: dict[str, object] = {
                "id": f"t{len(tracks) + 1}",
                "curve": "spline" if smooth else "linear",
                "points": paced(points, handles, (start, end), pace, (width, height)),
                "start": start,
                "end": end,
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


def _point(value: object, path: str) -> tuple[float, float]:
    place = value if isinstance(value, Mapping) else mapping(value, path, ("x", "y"))
    return finite(place.get("x"), child(path, "x")), finite(place.get("y"), child(path, "y"))


def _curve(value: object, path: str, bounds: tuple[float, float], default: Curve) -> Curve:
    items = sequence(value if value is not None else (), path, 0, MAX_POINTS)
    points = []
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        fields = item if isinstance(item, Mapping) else mapping(item, here, ("x", "y"))
        time = finite(fields.get("x"), child(here, "x"))
        points.append((time, number(fields.get("y"), child(here, "y"), *bounds)))
    return sorted(points, key=lambda point: point[0]) if len(points) > 1 else default
