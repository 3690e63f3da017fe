"""Clips on disk: WebDataset tar shards, and one Parquet index that knows where every member lies.

A set is a folder: `shards/000000.tar`, …, each with `<key>.json`, `<key>.mp4` and the cut-outs
`<key>.<entity>.<n>.png` of its clips one after the other, and `index.parquet`. Beside them may lie
`cache/000000.tar`, … with one `<key>.safetensors` a clip, and an index of its own.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ..fields import refuse, show
from ..files import atomic_path

INDEX = "index.parquet"
SHARD_BYTES = 1_000_000_000
MAX_MEMBER = 1 << 31
_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_BLOCK = 512


@dataclass(frozen=True)
class Row:
    """Where the members of one clip lie.

    Attributes:
        key: of the clip.
        shard: file name of the tar.
        members: name without the key (`json`, `mp4`, `e0.0.png`) → (offset, bytes) in the tar.
    """

    key: str
    shard: str
    members: Mapping[str, tuple[int, int]]


def parquet() -> Any:
    """pyarrow's Parquet module.

    Raises:
        ValueError: says how to install it.
    """
    try:
        import pyarrow.parquet as module
    except ImportError:
        raise ValueError("clips on disk need pyarrow: pip install 'comfyui-tora2[train]'") from None
    return module


def check_key(key: str) -> str:
    """A key as WebDataset allows it: letters, digits, `_` and `-`."""
    if not _KEY.fullmatch(key):
        raise refuse("the key of a clip", key, "1 to 128 letters, digits, _ or -")
    return key


class ShardWriter:
    """Writes members of clips into tar shards; each shard appears whole or not at all.

    Leaving the `with` block ends the last shard and writes the index. An exception leaves the
    finished shards, without the one that was being written.

    Args:
        folder: of the set; made where it is missing. Shards that are there already stay, and new
            ones are numbered on.
        shard_bytes: a shard is ended when it has so many bytes.
        place: folder of the shards within the set.
    """

    def __init__(
        self, folder: str | os.PathLike[str], shard_bytes: int = SHARD_BYTES, place: str = "shards"
    ) -> None:
        self.folder = Path(folder)
        self.shards = self.folder / place
        self.shards.mkdir(parents=True, exist_ok=True)
        self.shard_bytes = shard_bytes
        self._number = 1 + max((int(shard.stem) for shard in _shards(self.shards)), default=-1)
        self._written: list[tuple[str, bytes]] = []
        self._bytes = 0

    def finished(self) -> list[Path]:
        """The shards that are there, in order."""
        return _shards(self.shards)

    def write(self, key: str, members: Mapping[str, bytes]) -> None:
        """Add one clip; names of members without the key."""
        check_key(key)
        for name, content in members.items():
            self._written.append((f"{key}.{name}", content))
            self._bytes += len(content) + 2 * _BLOCK
        if self._bytes >= self.shard_bytes:
            self.end_shard()

    def end_shard(self) -> None:
        """Write what has been gathered as a shard, if anything has."""
        if not self._written:
            return
        with atomic_path(self.shards / f"{self._number:06d}.tar") as temporary:
            write_tar(temporary, self._written)
        self._number += 1
        self._written, self._bytes = [], 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.end_shard()
            write_index(self.shards, self.folder / INDEX)


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """A tar of named contents, the same bytes for the same members; they are taken one by one."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def write_index(shards: Path, path: Path) -> None:
    """Index every shard of a folder by the headers of its tars, and write it whole.

    Raises:
        ValueError: if a shard is damaged or two clips have one key.
    """
    rows = [row for shard in _shards(shards) for row in scan(shard)]
    keys: set[str] = set()
    for row in rows:
        if row.key in keys:
            raise ValueError(f"{shards} holds the clip {row.key} twice, expected every key once")
        keys.add(row.key)
    import pyarrow

    table = pyarrow.table(
        {
            "key": pyarrow.array([row.key for row in rows], pyarrow.string()),
            "shard": pyarrow.array([row.shard for row in rows], pyarrow.string()),
            "names": pyarrow.array(
                [list(row.members) for row in rows], pyarrow.list_(pyarrow.string())
            ),
            "offsets": pyarrow.array(
                [[offset for offset, _ in row.members.values()] for row in rows],
                pyarrow.list_(pyarrow.int64()),
            ),
            "sizes": pyarrow.array(
                [[size for _, size in row.members.values()] for row in rows],
                pyarrow.list_(pyarrow.int64()),
            ),
        }
    )
    with atomic_path(path) as temporary:
        parquet().write_table(table, temporary)


def read_index(path: Path) -> list[Row]:
    """The rows that `write_index` wrote.

    Raises:
        ValueError: if the file is missing or damaged.
    """
    module = parquet()
    import pyarrow

    if not path.is_file():
        raise ValueError(f"{path} does not exist, expected the index of a set of clips")
    try:
        table = module.read_table(path, columns=["key", "shard", "names", "offsets", "sizes"])
        columns = [table.column(name).to_pylist() for name in table.column_names]
        return [
            Row(
                check_key(key),
                _shard_name(shard),
                dict(zip(names, zip(offsets, sizes, strict=True), strict=True)),
            )
            for key, shard, names, offsets, sizes in zip(*columns, strict=True)
        ]
    except (pyarrow.ArrowException, OSError, TypeError, ValueError, KeyError) as error:
        reason = show(" ".join(str(error).split()))
        raise ValueError(f"{path} cannot be read as an index of clips: {reason}") from None


def _shard_name(name: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"\d{6,9}\.tar", name):
        raise refuse("the shard", name, "a name such as 000000.tar")
    return name


def scan(shard: Path) -> Iterator[Row]:
    """The clips of one tar, in order; only its headers are read.

    Raises:
        ValueError: if the tar is damaged, or a member is no file of a clip.
    """
    key, members = "", dict[str, tuple[int, int]]()
    try:
        with tarfile.open(shard, "r:") as tar:
            for entry in tar:
                name, _, rest = entry.name.partition(".")
                if not entry.isreg() or not rest or not _KEY.fullmatch(name):
                    raise refuse(f"a member of {shard}", entry.name, "<key>.<name>, a file")
                if name != key:
                    if members:
                        yield Row(key, shard.name, members)
                    key, members = name, {}
                members[rest] = (entry.offset_data, entry.size)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{shard} is damaged: {show(str(error))}, expected a tar") from None
    if members:
        yield Row(key, shard.name, members)


def read_member(shards: Path, row: Row, name: str) -> bytes:
    """The content of one member.

    Raises:
        ValueError: if the clip has no such member, or its shard is missing or cut off.
    """
    if name not in row.members:
        raise ValueError(f"the clip {row.key} has no {name}")
    offset, size = row.members[name]
    shard = shards / row.shard
    if not 0 <= size <= MAX_MEMBER or offset < 0:
        raise ValueError(f"the clip {row.key} has {name} of {size} bytes at {offset} in {shard}")
    try:
        with shard.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
    except FileNotFoundError:
        raise ValueError(f"{shard} does not exist, expected the shard of {row.key}") from None
    if len(content) != size:
        raise ValueError(f"{shard} is cut off within {name} of the clip {row.key}")
    return content


def _shards(folder: Path) -> list[Path]:
    """The finished shards of a folder in order."""
    return sorted(path for path in folder.glob("*.tar") if re.fullmatch(r"\d{6,9}", path.stem))


def json_bytes(values: Mapping[str, Any]) -> bytes:
    """Compact JSON of plain values."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
