"""Cases in DreamVideo-Omni's layout: a folder each, with `metadata.json` and what it names.

`paths.tracks` are arrays in pixels ([1,] T, N, 2) with their visibility, `paths.ref_imgs` pictures
with the `obj_id` of what they show, `frames_info` boxes of the objects at every frame. The layout
has no words for its objects, and brings a video only where `paths.video` names one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...fields import finite, integer, load_json, refuse, sequence, show, text
from ...video import video_size
from ..record import ClipEntity, ClipRecord, ClipTrack
from . import Converted, Reader

MAX_JSON = 16 * 1024 * 1024
MAX_ARRAY = 64 * 1024 * 1024
DEFAULT_SIZE = (832, 480)
DEFAULT_FRAMES = 49
_FPS = 16.0


def readers(folder: Path) -> Iterator[Reader]:
    """See `converters.readers`; `folder` holds the cases' folders, or is one."""
    files = sorted({*folder.glob("metadata.json"), *folder.glob("*/metadata.json")})
    if not files:
        raise ValueError(f"{folder} has no case, expected folders with a metadata.json")
    for file in files:
        yield partial(_read, file)


def _read(file: Path) -> Converted:
    if file.stat().st_size > MAX_JSON:
        raise ValueError(f"{file} is too large, expected at most {MAX_JSON} bytes")
    case = load_json(file.read_bytes(), str(file), MAX_JSON)
    paths = case.get("paths", {}) if isinstance(case, Mapping) else None
    if not isinstance(case, Mapping) or not isinstance(paths, Mapping):
        raise ValueError(f"{file} is {show(case)}, expected an object with paths")
    folder = file.parent
    tracks = _tracks(folder, paths.get("tracks") or {})
    boxes = _boxes(case.get("frames_info") or ())
    video = None if paths.get("video") is None else _inside(folder, paths["video"], "video")
    if video is not None:
        width, height, frames = video_size(video)
    else:
        width = integer(case.get("width", DEFAULT_SIZE[0]), "width", 1, 16384)
        height = integer(case.get("height", DEFAULT_SIZE[1]), "height", 1, 16384)
        frames = max(len(tracks[0]) if len(tracks) else 0, *(f + 1 for f in boxes), 0)
        frames = frames or DEFAULT_FRAMES
    references = _references(folder, paths.get("ref_imgs") or ())
    ids = sorted({*references, *(box for row in boxes.values() for box in row)}, key=_order)
    owners = _owners(case, tracks, boxes, ids)
    entities = []
    pictures: dict[str, Path] = {}
    for number, identifier in enumerate(ids):
        named = {f"e{number}.{n}": path for n, path in enumerate(references.get(identifier, ()))}
        pictures |= named
        entities.append(
            ClipEntity(
                id=f"e{number}",
                word=_word(named.values()),
                references=tuple(named),
                tracks=tuple(
                    _fitted(tracks[row], (width, height), frames)
                    for row, owner in enumerate(owners)
                    if owner == identifier
                ),
            )
        )
    record = ClipRecord(
        caption=text(case.get("caption", ""), "caption", 20_000, low=0, lines=True),
        width=width,
        height=height,
        frames=frames,
        fps=_FPS,
        entities=tuple(entities),
    )
    name = re.sub(r"[^A-Za-z0-9_-]", "-", str(case.get("case_id", folder.name)))[:64]
    return Converted(f"case-{name}", record, video, pictures)


Track = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]
"""Points [T, 2] in pixels and visibility [T]."""
Boxes = dict[int, dict[str, tuple[float, float, float, float]]]
"""By frame and object: left, top, right, bottom in pixels."""


def _tracks(folder: Path, paths: object) -> list[Track]:
    if not isinstance(paths, Mapping):
        raise refuse("paths.tracks", paths, "an object with tracks and visibility")
    if not paths:
        return []
    points = _array(folder, paths.get("tracks"), "tracks").astype(np.float32)
    points = points[0] if points.ndim == 4 and len(points) == 1 else points
    if points.ndim != 3 or points.shape[-1] != 2 or not np.isfinite(points).all():
        raise ValueError(f"the tracks have the shape {points.shape}, expected finite [T, N, 2]")
    seen = np.ones(points.shape[:2], bool)
    if paths.get("visibility") is not None:
        seen = _array(folder, paths["visibility"], "visibility") > 0.5
        seen = seen[0] if seen.ndim == 3 and len(seen) == 1 else seen
    if seen.shape != points.shape[:2]:
        raise ValueError(f"the visibility has the shape {seen.shape}, expected {points.shape[:2]}")
    return [(points[:, row], seen[:, row]) for row in range(points.shape[1])]


def _array(folder: Path, value: object, what: str) -> npt.NDArray[Any]:
    """An array of numbers from an .npy file; pickled ones are refused."""
    file = _inside(folder, value, what)
    if file.stat().st_size > MAX_ARRAY:
        raise ValueError(f"{file} is too large, expected at most {MAX_ARRAY} bytes")
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError, TypeError, SyntaxError, MemoryError) as error:
        raise ValueError(f"{file} cannot be read: {show(str(error))}, expected .npy") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise ValueError(f"{file} is no array of numbers, expected {what}")
    return array


def _inside(folder: Path, value: object, what: str) -> Path:
    """A file that the metadata names, within its folder."""
    name = text(value, f"paths.{what}", 1000)
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise refuse(f"paths.{what}", name, f"a file within {folder}")
    return file


def _boxes(value: object) -> Boxes:
    boxes: Boxes = {}
    for place, item in enumerate(sequence(value, "frames_info", 0, 4096)):
        path = f"frames_info[{place}]"
        if not isinstance(item, Mapping):
            raise refuse(path, item, "an object")
        frame = integer(item.get("frame_idx", place), f"{path}.frame_idx", 0, 4095)
        for box in sequence(item.get("bboxes", ()), f"{path}.bboxes", 0, 64):
            if not isinstance(box, Mapping):
                raise refuse(f"{path}.bboxes", box, "objects with bbox and obj_id")
            sides = sequence(box.get("bbox"), f"{path}.bbox", 4, 4)
            left, top, right, bottom = (finite(side, f"{path}.bbox") for side in sides)
            named = str(box.get("obj_id"))[:64]
            boxes.setdefault(frame, {})[named] = (left, top, right, bottom)
    return boxes


def _references(folder: Path, value: object) -> dict[str, list[Path]]:
    """Pictures by object; without an `obj_id` each is an object of its own, in turn."""
    found: dict[str, list[Path]] = {}
    for place, item in enumerate(sequence(value, "paths.ref_imgs", 0, 64)):
        if not isinstance(item, Mapping):
            raise refuse(f"paths.ref_imgs[{place}]", item, "an object with a path")
        named = str(item.get("obj_id", place))[:64]
        found.setdefault(named, []).append(_inside(folder, item.get("path"), "ref_imgs"))
    return found


def _owners(
    case: Mapping[str, object], tracks: list[Track], boxes: Boxes, ids: list[str]
) -> list[str | None]:
    """Which object each track belongs to: as `obj_track_idx` says, else by the boxes."""
    told = case.get("obj_track_idx")
    owners: list[str | None] = [None] * len(tracks)
    if told is not None:
        for identifier, row in zip(ids, sequence(told, "obj_track_idx", 0, len(ids)), strict=False):
            owners[integer(row, "obj_track_idx", 0, len(tracks) - 1)] = identifier
        return owners
    for row, (points, seen) in enumerate(tracks):
        for frame in np.flatnonzero(seen).tolist():
            x, y = points[frame]
            around = {
                named: (right - left) * (bottom - top)
                for named, (left, top, right, bottom) in boxes.get(frame, {}).items()
                if left <= x <= right and top <= y <= bottom
            }
            if around:  # of boxes within each other, the smaller is the thing in front
                owners[row] = min(around, key=lambda named: around[named])
                break
    return owners


def _fitted(track: Track, size: tuple[int, int], frames: int) -> ClipTrack:
    """A track in fractions of the frame, of so many frames; its last place is kept, unseen."""
    points, seen = track
    rows = np.arange(frames).clip(max=len(points) - 1)
    places = points[rows] / np.array(size, np.float32)
    return ClipTrack(places.clip(-1000, 1000), seen[rows] & (np.arange(frames) < len(points)))


def _word(pictures: Any) -> str:
    """The name in `ref_<object>_<name>_frame_<number>.png`, if a picture has it."""
    for picture in pictures:
        named = re.fullmatch(r"ref_\d+_(.+)_frame_\d+", picture.stem)
        if named:
            return str(named[1]).replace("_", " ")[:200]
    return ""


def _order(identifier: str) -> tuple[int, str]:
    return (int(identifier) if re.fullmatch(r"\d{1,9}", identifier) else 1 << 30), identifier
