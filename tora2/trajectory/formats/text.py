"""Paths as text: Tora's txt, and the point lists of KJNodes, Wan and LTXV."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence

from ...fields import child, finite, integer, load_json, mapping, sequence, show
from ..document import MAX_FRAMES, MAX_TRACKS, TrajectoryDocument, parse
from ..sampling import Tracks
from ..tora import CANVAS, schedule
from .lines import lines
from .samples import Run, from_runs, short

logger = logging.getLogger(__name__)

MAX_FILE = 32 * 1024 * 1024
_PAIR = re.compile("([0-9]+)[ \\t]*,[ \\t]*([0-9]+)")


def read_tora(text: str) -> list[tuple[int, int]]:
    """The points of one Tora file: a line `x,y` each, whole numbers on a 256 x 256 canvas."""
    points = []
    for number, line in lines(text):
        pair = _PAIR.fullmatch(line)
        if pair is None:
            raise ValueError(
                f"line {number} is {show(line)}, expected x,y in whole numbers from 0 to 255"
            )
        x, y = (int(part) if len(part) < 9 else CANVAS for part in pair.groups())
        points.append(
            (
                integer(x, f"line {number}, x", 0, CANVAS - 1),
                integer(y, f"line {number}, y", 0, CANVAS - 1),
            )
        )
    if len(points) < 2:
        raise ValueError(f"holds {len(points)} points, expected at least 2 lines of x,y")
    return points


def from_tora(
    paths: Sequence[Sequence[tuple[int, int]]], frames: int, size: tuple[int, int]
) -> TrajectoryDocument:
    """Linear tracks that pass Tora's points at the frames at which Tora passes them.

    Between two points Tora truncates to its 256 x 256 grid, which these tracks do not;
    `tora.resample` does.
    """
    tracks = []
    for number, points in enumerate(paths, start=1):
        kept, keys = schedule(len(points), frames)
        if kept[-1] != len(points) - 1:
            logger.warning(
                "trajectory %d: %d points do not fit %d frames, so it ends at point %d as in Tora",
                number,
                len(points),
                frames,
                kept[-1] + 1,
            )
        rows = [
            {"x": points[index][0] / CANVAS, "y": points[index][1] / CANVAS, "frame": frame}
            for index, frame in zip(kept, keys, strict=True)
        ]
        tracks.append({"id": f"t{number}", "curve": "linear", "points": rows})
    return parse(
        {
            "version": 1,
            "width": size[1],
            "height": size[0],
            "frames": frames,
            "tracks": tracks,
        }
    )


def dumps_tora(tracks: Tracks) -> list[str]:
    """One Tora file for each track: a point for every frame, rounded to the 256 x 256 canvas."""
    points = tracks.points * CANVAS / tracks.points.new_tensor([tracks.width, tracks.height])
    files = []
    for number, path in enumerate(points.tolist(), start=1):
        lines = []
        for frame, place in enumerate(path):
            if not all(0 <= value <= CANVAS for value in place):
                raise ValueError(
                    f"track {number} is off the frame at frame {frame}, "
                    "expected a path within the frame, as Tora files hold no other"
                )
            x, y = (min(round(value), CANVAS - 1) for value in place)
            lines.append(f"{x},{y}\n")
        files.append("".join(lines))
    return files


def read_json(text: str) -> object:
    """JSON, or a Python literal without a double quote in it, as older nodes write lists.

    Raises:
        ValueError: if it is neither, or too long.
    """
    return load_json(text if '"' in text else text.replace("'", '"'), "the file", MAX_FILE)


def from_points(value: Sequence[object], size: tuple[int, int]) -> TrajectoryDocument:
    """Read `[[{"x", "y"}, ...], ...]`: a list a track, a point in pixels for every frame.

    A point may be a pair `[x, y]`, a single track may stand bare, and a list of texts holds one or
    more tracks in each.
    """
    lists: list[object] = []
    if value and all(isinstance(item, str) for item in value):
        for number, text in enumerate(sequence(value, "the list of texts", 0, MAX_TRACKS)):
            lists += _tracks(read_json(str(text)), f"the track in text {number}")
    else:
        lists += _tracks(value, "the list of tracks")
    runs: list[Run] = []
    for number, track in enumerate(sequence(lists, "the list of tracks", 0, MAX_TRACKS)):
        points = sequence(track, f"[{number}]", 1, MAX_FRAMES)
        runs.append(
            [(frame, *_xy(point, f"[{number}][{frame}]")) for frame, point in enumerate(points)]
        )
    return from_runs(runs, max(map(len, runs), default=1), size)


def _tracks(value: object, path: str) -> Sequence[object]:
    """The tracks in a list of tracks, or the one that is a list of points."""
    items = sequence(value, path, 0, MAX_TRACKS * MAX_FRAMES)
    first = items[0] if items else None
    pair = isinstance(first, list) and first and not isinstance(first[0], list | Mapping)
    return [items] if pair or isinstance(first, Mapping) else items


def _xy(point: object, path: str) -> tuple[float, float]:
    if isinstance(point, list):
        x, y = sequence(point, path, 2, 2)
        return finite(x, f"{path}[0]"), finite(y, f"{path}[1]")
    place = mapping(point, path, ("x", "y"))
    return finite(place["x"], child(path, "x")), finite(place["y"], child(path, "y"))


def dumps_points(tracks: Tracks) -> str:
    """`[[{"x", "y"}, ...], ...]` in pixels, a point for every frame, visible or not."""
    return json.dumps(
        [[{"x": short(x), "y": short(y)} for x, y in path] for path in tracks.points.numpy()]
    )
