"""A set of clips on disk, read at random: records, frames, cut-outs and cached tensors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ..encoders.pictures import Picture, load_picture
from ..fields import show
from ..video import OpenVideo, mp4_bytes, open_video, read_video
from .cache import FOLDER as CACHE
from .record import ClipRecord, parse_record
from .shards import INDEX, Row, json_bytes, read_index, read_member


class ClipSet:
    """The clips of a folder that `ShardWriter` wrote; indices follow its index.

    Args:
        folder: with `shards/` and `index.parquet`.
        cache: whether the tensors that were computed beforehand are read too.

    Raises:
        ValueError: if the index, or that of the cache where it is asked for, cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str], cache: bool = False) -> None:
        self.folder = Path(folder)
        self.rows = read_index(self.folder / INDEX)
        if not self.rows:
            raise ValueError(f"{self.folder} has no clips, expected at least one")
        self._cache: dict[str, Row] = {}
        if cache:
            rows = read_index(self.folder / CACHE / INDEX)
            self._cache = {row.key: row for row in rows}

    def __len__(self) -> int:
        return len(self.rows)

    def record(self, index: int) -> ClipRecord:
        """What is known of a clip.

        Raises:
            ValueError: names the clip, as all methods here do, if it is missing or damaged.
        """
        row = self.rows[index]
        try:
            return parse_record(read_member(self.folder / "shards", row, "json"))
        except ValueError as error:
            raise ValueError(f"clip {row.key}: {error}") from None

    def frames(self, index: int) -> Tensor:
        """uint8 [T, H, W, 3] of a clip."""
        with self._video(index) as file:
            return read_video(file)[0]

    @contextmanager
    def video(self, index: int) -> Iterator[OpenVideo]:
        """The video of a clip, read frame by frame."""
        with self._video(index) as file, open_video(file) as video:
            yield video

    @contextmanager
    def _video(self, index: int) -> Iterator[Path]:
        row = self.rows[index]
        content = read_member(self.folder / "shards", row, "mp4")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{row.key}.mp4"
            file.write_bytes(content)
            yield file

    def picture(self, index: int, reference: str) -> Picture:
        """A cut-out of a clip, by its name in the record."""
        row = self.rows[index]
        content = read_member(self.folder / "shards", row, f"{reference}.png")
        return load_picture(content, f"{reference}.png of the clip {row.key}")

    def has_cache(self, index: int) -> bool:
        """Whether there are tensors of a clip."""
        return self.rows[index].key in self._cache

    def cached(self, index: int) -> dict[str, Tensor]:
        """The tensors that were computed beforehand."""
        key = self.rows[index].key
        row = self._cache.get(key)
        if row is None:
            raise ValueError(f"clip {key} has no tensors in {self.folder / CACHE}")
        try:
            return load(read_member(self.folder / CACHE / "shards", row, "safetensors"))
        except SafetensorError as error:
            raise ValueError(f"clip {key}: its tensors are damaged, {show(str(error))}") from None


class Writer(Protocol):
    """Takes the files of clips, as `ShardWriter` does."""

    def write(self, key: str, members: Mapping[str, bytes]) -> None:
        """Add one clip; names of members without the key."""


def write_clip(
    writer: Writer,
    key: str,
    record: ClipRecord,
    video: Tensor | bytes | None,
    pictures: Mapping[str, bytes],
) -> None:
    """Add a clip to a set.

    Args:
        writer: of the set.
        key: of the clip, unique in the set.
        record: what is known of it.
        video: uint8 [T, H, W, 3], which is encoded as H.264, or the bytes of an .mp4; None for
            a clip of which there is no video.
        pictures: PNG files of the cut-outs that the record names.

    Raises:
        ValueError: if pictures and record do not agree, or frames do not have the record's size.
    """
    named = {name for entity in record.entities for name in entity.references}
    if named != set(pictures):
        raise ValueError(
            f"the clip {key} names the cut-outs {sorted(named)} but has {sorted(pictures)}"
        )
    if isinstance(video, Tensor):
        size = (record.frames, record.height, record.width, 3)
        if tuple(video.shape) != size:
            raise ValueError(f"the clip {key} has frames {tuple(video.shape)}, expected {size}")
        video = mp4_bytes(video, record.fps)
    members = {"json": json_bytes(record.to_dict())}
    if video is not None:
        members["mp4"] = video
    writer.write(key, members | {f"{name}.png": content for name, content in pictures.items()})
