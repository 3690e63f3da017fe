"""Trajectory files: what other tools write becomes a document, and back.

The editor reads them by the same rule (web/editor); tests/fixtures/foreign_paths.json holds both:

- Tora's text has no times: its points are thinned or spread over `frames` as Tora does it.
- Point lists, TRACKS and CSV have a point for every frame, so they have a length of their own,
  rounded up to one that a document can have; beyond its last point a track is not visible.
- All of them are in pixels of `width` x `height`, but for Tora's, whose canvas is 256 x 256, and
  those that say their own, which is stretched: SVG's viewBox and Spline Path Control's canvas.
- SVG has no times either: its paths take all `frames`. ATI's .pth is never unpickled.
- Spline Path Control's scenes and the control points that LTX's editor keeps become splines that
  can be edited, with their own frames.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...fields import refuse
from ...files import atomic_path, read_bounded
from ..document import MAX_TEXT, TrajectoryDocument, dumps, parse
from ..sampling import sample
from .arrays import is_pth, read_pth, tracks_in
from .host import dumps_tracks, from_host, to_host
from .npz import BARE, read_npy, read_npz, write_npz
from .splines import MARKER, from_scene, is_scene
from .stored import from_store, is_store
from .svg import dumps_svg, is_svg, read_svg
from .table import dumps_csv, is_table, read_csv
from .text import (
    MAX_FILE,
    dumps_points,
    dumps_tora,
    from_points,
    from_tora,
    read_json,
    read_tora,
)
from .writing import write_all

__all__ = ["FORMATS", "from_host", "load", "loads", "save", "to_host"]

FORMATS = ("document", "points", "tracks", "csv", "tora", "svg")
_EXTENSIONS = {
    ".json": "document",
    ".npz": "tracks",
    ".csv": "csv",
    ".txt": "tora",
    ".svg": "svg",
}

PathLike = str | os.PathLike[str]


def load(
    path: PathLike | Sequence[PathLike],
    *,
    width: int = 720,
    height: int = 480,
    frames: int = 49,
) -> TrajectoryDocument:
    """Read a trajectory file of any format, told apart by its content.

    Args:
        path: a file; or several Tora files, which hold a track each.
        width: width of the canvas in pixels, for the formats that do not say (all but our own).
        height: height of the canvas in pixels, likewise.
        frames: number of frames, 4k + 1, for Tora files alone.

    Returns:
        The document. Formats with a point for every frame give linear tracks with a key at every
        point, which sample to exactly those points.

    Raises:
        OSError: if a file cannot be read.
        ValueError: with a sentence that names the file, and the line where there is one.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not paths:
        raise ValueError("no file is named, expected at least one")
    contents = [read_bounded(one, MAX_FILE) for one in paths]
    if len(paths) == 1:
        with _named(paths[0]):
            return loads(contents[0], width=width, height=height, frames=frames)
    tracks = []
    for one, content in zip(paths, contents, strict=True):
        with _named(one):
            tracks.append(read_tora(_decode(content)))
    return from_tora(tracks, frames, (height, width))


def loads(
    content: str | bytes, *, width: int = 720, height: int = 480, frames: int = 49
) -> TrajectoryDocument:
    """Read the content of one trajectory file; the arguments and errors are those of `load`."""
    size = (height, width)
    if len(content) > MAX_FILE:
        raise ValueError(f"the file is too long, expected at most {MAX_FILE} bytes")
    if isinstance(content, bytes):
        binary = _binary(content)
        if binary is not None:
            return from_host(binary, size)
        if MARKER in content[-MAX_TEXT:]:
            content = content[content.rindex(MARKER) + len(MARKER) :]
    text = (content if isinstance(content, str) else _decode(content)).removeprefix("\ufeff")
    if text.lstrip(" \t\r\n").startswith(("{", "[")):
        value = read_json(text)
        if isinstance(value, list):
            return from_points(value, size)
        if isinstance(value, Mapping) and "track_path" in value:
            return from_host(value, size)
        if is_scene(value) and isinstance(value, Mapping):
            return from_scene(value, size)
        if is_store(value) and isinstance(value, Mapping):
            return from_store(value, size)
        return parse(value if len(text) <= MAX_TEXT else text)  # type: ignore[arg-type]
    if is_svg(text):
        return read_svg(text, size, frames)
    if is_table(text):
        return read_csv(text, size)
    return from_tora([read_tora(text)], frames, size)


def save(document: TrajectoryDocument, path: PathLike, format: str | None = None) -> list[Path]:
    """Write a document to a file, or to several; they appear whole and all, or none of them does.

    Args:
        document: what to write. All formats but our own are sampled to a point for every frame.
        path: the file. Tora files hold one track each: `path.txt` becomes `path-1.txt`,
            `path-2.txt`, ... where there is not exactly one.
        format: one of `FORMATS`; by default .json is `document`, .npz `tracks`, .csv `csv`, .svg
            `svg` and .txt `tora`. `tracks` is JSON text but for .npz; `points` is JSON text.

    Returns:
        The files written.

    Raises:
        OSError: if the file cannot be written.
        ValueError: for an unknown format or extension, or a path that the format cannot hold.
    """
    target = Path(path)
    kind = format or _EXTENSIONS.get(target.suffix.lower())
    if kind is None:
        known = ", ".join(_EXTENSIONS)
        raise refuse("the file extension", target.suffix, f"one of {known}, or a format by name")
    if kind not in FORMATS:
        raise refuse("format", kind, f"one of {', '.join(FORMATS)}")
    if kind == "document":
        return write_all({target: dumps(document)})
    tracks = sample(document)
    if kind == "points":
        return write_all({target: dumps_points(tracks)})
    if kind == "svg":
        return write_all({target: dumps_svg(document)})
    if kind == "csv":
        return write_all({target: dumps_csv(tracks, [track.id for track in document.tracks])})
    if kind == "tora":
        texts = dumps_tora(tracks)
        numbered = [target.with_stem(f"{target.stem}-{row + 1}") for row in range(len(texts))]
        files = [target] if len(texts) == 1 else numbered
        return write_all(dict(zip(files, texts, strict=True)))
    if target.suffix.lower() != ".npz":
        return write_all({target: dumps_tracks(tracks)})
    with atomic_path(target) as temporary:
        write_npz(temporary, **{name: part.numpy() for name, part in to_host(tracks).items()})
    return [target]


def _binary(content: bytes) -> Mapping[str, object] | None:
    """TRACKS out of NumPy's and torch's files, or None for text."""
    if content.startswith(b"\x93NUMPY"):
        return tracks_in(read_npy(content, "the file"))
    if not content.startswith(b"PK\x03\x04"):
        return None
    arrays = read_pth(content) if is_pth(content) else read_npz(content)
    bare = [array for name, array in arrays.items() if name in BARE]
    return tracks_in(bare[0]) if bare else arrays


def _decode(content: bytes) -> str:
    """Text in UTF-8 or, with its byte order mark, UTF-16."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is not UTF-8 text ({error.reason})") from None


@contextmanager
def _named(path: PathLike) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error
