"""Paths as a table: CSV with columns track, frame, x, y, visible, a row for a track and frame."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence

from ...fields import show
from ..document import MAX_FRAMES, MAX_TRACKS, TrajectoryDocument
from ..sampling import Tracks
from .lines import lines
from .samples import Run, from_runs, short

COLUMNS = ("track", "frame", "x", "y", "visible")
SEPARATORS = (",", ";", "\t", "|")
MAX_LINE = 65536

_WORDS = {"1": True, "true": True, "0": False, "false": False}
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def is_table(text: str) -> bool:
    """Whether the first line names columns of ours."""
    _, first = next(lines(text[:MAX_LINE]), (1, ""))
    names = [name.strip(' \t"') for name in first.lower().split(separator_of(first))]
    return names[0].startswith(COLUMNS[0]) or {"x", "y"} <= set(names)


def separator_of(header: str) -> str:
    """What stands between the names of a table: a comma, unless another makes x and y of it."""
    for separator in SEPARATORS:
        names = {name.strip(' \t"') for name in header.lower().split(separator)}
        if {"x", "y"} <= names:
            return separator
    return SEPARATORS[0]


def read_csv(text: str, size: tuple[int, int]) -> TrajectoryDocument:
    """Read a table with a header, in pixels.

    Commas, semicolons, tabs or bars part the columns, which stand in any order; only x and y must
    be there. Without a column of frames the
    rows of a track follow one another; without one of tracks there is one. A track moves evenly
    over frames that it leaves out, and ends where a row says that it is not visible; if rows
    follow, they make another track.

    Args:
        text: the table; quoted cells hold no line breaks.
        size: (height, width) of the canvas in pixels.

    Raises:
        ValueError: with the line, where a row is not what the header says.
    """
    rows = lines(text)
    number, first = next(rows, (1, ""))
    separator = separator_of(first)
    header = [name.lower() for name in _cells(first, number, separator)]
    if not {"x", "y"} <= set(header) <= set(COLUMNS) or len(set(header)) < len(header):
        raise ValueError(
            f"the header is {show(','.join(header))}, expected {','.join(COLUMNS)}, "
            "of which x and y alone must be there"
        )
    tracks: dict[str, dict[int, tuple[float, float] | None]] = {}
    for number, line in rows:
        cells = _cells(line, number, separator)
        if len(cells) != len(header):
            raise ValueError(f"line {number} has {len(cells)} cells, expected {len(header)}")
        row = dict(zip(header, cells, strict=True))
        name = row.get("track", "")
        track = tracks.setdefault(name, {})
        if len(tracks) > MAX_TRACKS:
            raise ValueError(f"line {number} begins another track, expected at most {MAX_TRACKS}")
        frame = _frame(row.get("frame", str(len(track))), number)
        if frame in track:
            raise ValueError(f"line {number}: frame {frame} of track {show(name)} occurs twice")
        track[frame] = _place(row, number)
    frames = max((frame for track in tracks.values() for frame in track), default=0) + 1
    return from_runs([run for track in tracks.values() for run in _runs(track)], frames, size)


def dumps_csv(tracks: Tracks, names: Sequence[str]) -> str:
    """`track,frame,x,y,visible`, a row for each track and frame."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, path, seen in zip(names, tracks.points.numpy(), tracks.visible.tolist(), strict=True):
        for frame, ((x, y), visible) in enumerate(zip(path, seen, strict=True)):
            writer.writerow([name, frame, short(x), short(y), int(visible)])
    return output.getvalue()


def _cells(line: str, number: int, separator: str) -> list[str]:
    if len(line) > MAX_LINE:
        raise ValueError(f"line {number} is not CSV: {len(line)} characters, expected {MAX_LINE}")
    if '"' not in line:
        return [_point(cell.strip(" \t"), separator) for cell in line.split(separator)]
    try:
        return [
            _point(cell.strip(" \t"), separator)
            for cell in next(csv.reader([line], delimiter=separator, strict=True))
        ]
    except csv.Error as error:
        raise ValueError(f"line {number} is not CSV: {error}") from None


def _point(cell: str, separator: str) -> str:
    """A cell in which a comma may stand for the point, where it does not part cells."""
    return cell.replace(",", ".") if separator != "," and _COMMA.fullmatch(cell) else cell


def _frame(text: str, number: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) < MAX_FRAMES):
        expected = f"a whole number from 0 to {MAX_FRAMES - 1}"
        raise ValueError(f"line {number}: frame is {show(text)}, expected {expected}")
    return int(text)


def _place(row: dict[str, str], number: int) -> tuple[float, float] | None:
    """(x, y), or None where the row says that the track is not visible."""
    visible = row.get("visible", "1").lower()
    if visible not in _WORDS:
        raise ValueError(f"line {number}: visible is {show(visible)}, expected 0 or 1")
    x, y = _number(row, "x", number), _number(row, "y", number)
    return (x, y) if _WORDS[visible] else None


def _runs(track: dict[int, tuple[float, float] | None]) -> list[Run]:
    runs: list[list[tuple[int, float, float]]] = [[]]
    for frame, place in sorted(track.items(), key=lambda item: item[0]):
        if place is not None:
            runs[-1].append((frame, *place))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _number(row: dict[str, str], axis: str, number: int) -> float:
    text = row[axis]
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"line {number}: {axis} is {show(text)}, expected a finite number")
    return value
