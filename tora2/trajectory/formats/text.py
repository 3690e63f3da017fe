"""Paths as text: Tora's txt, the point lists of KJNodes, Wan and LTXV, and CSV."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
from collections.abc import Iterator, Sequence

from ...fields import child, finite, integer, mapping, sequence, show
from ..document import MAX_FRAMES, MAX_TRACKS, VERSION, TrajectoryDocument, parse
from ..sampling import Tracks
from ..tora import CANVAS, schedule
from .samples import Run, from_runs

logger = logging.getLogger(__name__)

COLUMNS = ["track", "frame", "x", "y"]
_WORDS = {"1": True, "true": True, "0": False, "false": False}


def read_tora(text: str) -> list[tuple[int, int]]:
    """The points of one Tora file: a line `x,y` each, whole numbers on a 256 x 256 canvas."""
    points = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
            raise ValueError(
                f"line {number} is {show(line)}, expected x,y in whole numbers from 0 to 255"
            )
        x, y = (int(part) if len(part) < 9 else CANVAS for part in parts)
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
            "version": VERSION,
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


def from_points(value: object, size: tuple[int, int]) -> TrajectoryDocument:
    """Read `[[{"x", "y"}, ...], ...]` or one such track bare: a point in pixels for every frame."""
    tracks = sequence(value, "the list of tracks", 0, MAX_TRACKS * MAX_FRAMES)
    if tracks and not isinstance(tracks[0], list):
        tracks = [tracks]
    runs: list[Run] = []
    for number, track in enumerate(sequence(tracks, "the list of tracks", 0, MAX_TRACKS)):
        run = []
        for frame, point in enumerate(sequence(track, f"[{number}]", 1, MAX_FRAMES)):
            path = f"[{number}][{frame}]"
            place = mapping(point, path, ("x", "y"))
            x, y = (finite(place[axis], child(path, axis)) for axis in "xy")
            run.append((frame, x, y))
        runs.append(run)
    return from_runs(runs, max(map(len, runs), default=1), size)


def dumps_points(tracks: Tracks) -> str:
    """`[[{"x", "y"}, ...], ...]` in pixels, a point for every frame, visible or not."""
    return json.dumps(
        [[{"x": _short(x), "y": _short(y)} for x, y in path] for path in tracks.points.numpy()]
    )


def read_csv(text: str, size: tuple[int, int]) -> TrajectoryDocument:
    """Read `track,frame,x,y[,visible]` with a header, in pixels.

    A track moves evenly over frames that it leaves out, and ends where a row says that it is not
    visible; if rows follow, they make another track.
    """
    rows = _csv_lines(text)
    _, header = next(rows, (1, []))
    header = [name.lower() for name in header]
    if header not in (COLUMNS, [*COLUMNS, "visible"]):
        raise ValueError(
            f"the header is {show(','.join(header))}, expected track,frame,x,y[,visible]"
        )
    tracks: dict[str, dict[int, tuple[float, float] | None]] = {}
    for line, cells in rows:
        name, frame, place = _csv_row(cells, len(header), line)
        track = tracks.setdefault(name, {})
        if frame in track:
            raise ValueError(f"line {line}: frame {frame} of track {show(name)} occurs twice")
        track[frame] = place
    frames = max((frame for track in tracks.values() for frame in track), default=0) + 1
    return from_runs([run for track in tracks.values() for run in _csv_runs(track)], frames, size)


def dumps_csv(tracks: Tracks, names: Sequence[str]) -> str:
    """`track,frame,x,y,visible`, a row for each track and frame."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow([*COLUMNS, "visible"])
    for name, path, seen in zip(names, tracks.points.numpy(), tracks.visible.tolist(), strict=True):
        for frame, ((x, y), visible) in enumerate(zip(path, seen, strict=True)):
            writer.writerow([name, frame, _short(x), _short(y), int(visible)])
    return output.getvalue()


def _csv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The line number and the stripped cells of every line that is not blank."""
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield rows.line_num, cells
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num} is not CSV: {error}") from None


def _csv_row(
    cells: list[str], columns: int, line: int
) -> tuple[str, int, tuple[float, float] | None]:
    """The track, the frame and the place, None where the row says that it is not visible."""
    if len(cells) != columns:
        raise ValueError(f"line {line} has {len(cells)} cells, expected {columns}")
    name, frame, x, y = cells[:4]
    if not (frame.isascii() and frame.isdigit() and len(frame) < 9 and int(frame) < MAX_FRAMES):
        expected = f"a whole number from 0 to {MAX_FRAMES - 1}"
        raise ValueError(f"line {line}: frame is {show(frame)}, expected {expected}")
    visible = "1" if columns == 4 else cells[4].lower()
    if visible not in _WORDS:
        raise ValueError(f"line {line}: visible is {show(visible)}, expected 0 or 1")
    place = (_number(x, f"line {line}: x"), _number(y, f"line {line}: y"))
    return name, int(frame), place if _WORDS[visible] else None


def _csv_runs(track: dict[int, tuple[float, float] | None]) -> list[Run]:
    runs: list[list[tuple[int, float, float]]] = [[]]
    for frame, place in sorted(track.items(), key=lambda item: item[0]):
        if place is not None:
            runs[-1].append((frame, *place))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _number(text: str, path: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path} is {show(text)}, expected a finite number")
    return value


def _short(value: float) -> float:
    """The shortest decimal that is this float32."""
    return float(str(value))
