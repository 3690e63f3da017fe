"""The videos of a run: a file, all of a folder, or a list of files with captions."""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..fields import refuse, show
from ..files import read_bounded, regular_file
from .candidate import Candidate

logger = logging.getLogger(__name__)

VIDEOS = frozenset(
    ".3gp .asf .avi .flv .gif .h264 .hevc .ivf .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogm "
    ".ogv .qt .ts .vob .webm .wmv .y4m".split()
)
LISTS = (".txt", ".csv", ".jsonl")
MAX_CAPTION = 20_000
_FILE = ("file", "path", "video", "source")
_LONGEST_LINE = 1 << 20


def sources(path: Path) -> list[Candidate]:
    """The videos of a run as candidates, each once, in order.

    Args:
        path: a video; a folder, of which all videos are taken, with the text of `<name>.txt` beside
            `<name>.mp4` as its caption; or a list: `.txt` with a file in each line, `.csv` with a
            header or `.jsonl`, with `file` and, where they are known, `caption`, `start` and `end`
            (seconds). Names in a list are relative to its folder.

    Raises:
        ValueError: if there is no video, or a line of the list is malformed.
        OSError: if it cannot be read.
    """
    if path.is_dir():
        found: Iterable[Candidate] = _folder(path)
        wanted = f"a folder with videos ({', '.join(sorted(VIDEOS))})"
    elif path.suffix.lower() in LISTS:
        found = _listed(regular_file(path))
        wanted = "a list of videos"
    else:
        regular_file(path)
        return [Candidate(os.path.abspath(path), caption=_caption_beside(path))]
    unique: dict[tuple[str, float, float], Candidate] = {}
    for one in found:
        if unique.setdefault((one.source, one.start, one.end), one) is not one:
            logger.warning("%s is listed twice and taken once", one.source)
    if not unique:
        raise ValueError(f"{path} holds no video, expected {wanted}")
    return list(unique.values())


def _folder(folder: Path) -> Iterator[Candidate]:
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders.sort()
        for name in sorted(names):
            file = Path(place, name)
            if file.suffix.lower() in VIDEOS and not name.startswith("."):
                yield Candidate(os.path.abspath(file), caption=_caption_beside(file))


def _refuse(error: OSError) -> None:
    raise error


def _caption_beside(video: Path) -> str | None:
    file = video.with_suffix(".txt")
    if not file.is_file():
        return None
    try:
        content = read_bounded(file, MAX_CAPTION).decode("utf-8-sig")
    except ValueError as error:
        raise ValueError(f"{file} is no caption: {show(str(error))}, expected a text") from None
    return " ".join(content.split()) or None


def _listed(path: Path) -> Iterator[Candidate]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            for number, values in _lines(path, file):
                yield _candidate(values, path.parent, f"{path} line {number}")
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path} is no list of videos: {show(str(error))}") from None


def _lines(path: Path, file: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if value}
        return
    for number, line in enumerate(file, 1):
        text = line.strip()
        if len(text) > _LONGEST_LINE:
            raise ValueError(f"{path} line {number} is too long, expected {_LONGEST_LINE} at most")
        if not text:
            continue
        if suffix == ".txt":
            yield number, {"file": text}
            continue
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = show(str(error))
            raise ValueError(f"{path} line {number} is not JSON: {reason}") from None
        yield number, values


def _candidate(values: Any, folder: Path, where: str) -> Candidate:
    if not isinstance(values, Mapping):
        raise refuse(where, values, "an object with a file")
    name = next((values[key] for key in _FILE if values.get(key)), None)
    if not isinstance(name, str) or "\0" in name:
        raise refuse(f"the file in {where}", name, f"a file name under {' or '.join(_FILE)}")
    caption = values.get("caption")
    if caption is not None and not (isinstance(caption, str) and len(caption) <= MAX_CAPTION):
        raise refuse(f"the caption in {where}", caption, f"a text of at most {MAX_CAPTION}")
    start, end = (_seconds(values.get(key), f"{key} in {where}") for key in ("start", "end"))
    if end and end <= start:
        raise refuse(f"end in {where}", end, f"more seconds than the start, {start:g}")
    return Candidate(os.path.abspath(folder / name), start, end, caption=caption or None)


def _seconds(value: Any, where: str) -> float:
    try:
        seconds = 0.0 if value is None else float(value)
    except (TypeError, ValueError):
        raise refuse(where, value, "seconds") from None
    if not 0 <= seconds < 1e7:
        raise refuse(where, value, "seconds, 0 or more")
    return seconds
