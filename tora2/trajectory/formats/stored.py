"""What LTX's track editor keeps in its node: control points, as text beside the sampled ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...fields import finite, integer, mapping, sequence
from ..document import GRID, MAX_FRAMES, MAX_POINTS, MAX_TRACKS, TrajectoryDocument, parse
from .pacing import Stop, paced, tangents
from .text import from_points, read_json

DEFAULT_FRAMES = 121
_STORE = "points_store"


def is_store(value: object) -> bool:
    """Whether JSON is such a node's widgets, or the node as it stands in an API workflow."""
    return isinstance(value, Mapping) and _STORE in _widgets(value)


def from_store(value: Mapping[str, object], size: tuple[int, int]) -> TrajectoryDocument:
    """Splines through the control points, which it passes at even times.

    Args:
        value: `points_store` and, where there are any, `coordinates` and `points_to_sample`.
        size: (height, width) of the picture that was drawn on.
    """
    widgets = _widgets(value)
    frames = integer(
        widgets.get("points_to_sample", DEFAULT_FRAMES), "points_to_sample", 2, MAX_FRAMES
    )
    splines = _list(widgets[_STORE])
    if not splines or not isinstance(splines[0], list):
        return from_points(_list(widgets.get("coordinates", splines)), size)
    tracks = []
    for index, item in enumerate(sequence(splines, _STORE, 0, MAX_TRACKS)):
        path = f"{_STORE}[{index}]"
        places = sequence(item, path, 1, MAX_POINTS)
        points = np.array([_point(place, f"{path}[{n}]") for n, place in enumerate(places)])
        smooth = len(points) > 2
        bent = paced(
            points,
            tangents(points, 1 / 6) if smooth else None,
            (0, frames - 1),
            [Stop(0, 0), Stop(1, 1)],
            (size[1], size[0]),
        )
        known = 0
        for number, point in enumerate(bent[1:-1], 1):
            frame = int(np.floor(number / (len(bent) - 1) * (frames - 1) + 0.5))
            if known < frame < frames - 1 and len(bent) == len(points):
                point["frame"] = known = frame
        tracks.append(
            {
                "id": f"t{index + 1}",
                "curve": "spline" if smooth else "linear",
                "points": bent,
                "end": frames - 1,
            }
        )
    return parse(
        {
            "version": 2,
            "width": size[1],
            "height": size[0],
            "frames": GRID.rounded_frames(frames),
            "tracks": tracks,
        }
    )


def _widgets(value: Mapping[str, object]) -> Mapping[str, object]:
    inputs = value.get("inputs")
    return inputs if isinstance(inputs, Mapping) else value


def _list(value: object) -> list[object]:
    content = read_json(value) if isinstance(value, str) else value
    return list(sequence(content, _STORE, 0, MAX_TRACKS))


def _point(value: object, path: str) -> tuple[float, float]:
    place = value if isinstance(value, Mapping) else mapping(value, path, ("x", "y"))
    return finite(place.get("x"), f"{path}.x"), finite(place.get("y"), f"{path}.y")
