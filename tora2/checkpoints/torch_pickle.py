"""Torch's zip files (`.pt`), mapped from disk and read without unpickling anything."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..fields import show
from .mapped import MAX_NAME, MAX_TENSORS, is_shape, map_file, view
from .torch_program import describe
from .torch_values import UNPLAIN, Described, Forbidden, Items, Stored

MAX_PICKLE = 16 * 1024 * 1024
MAX_INDEX = 4 * 1024 * 1024
_LOCAL_HEADER = struct.Struct("<4s22xHH")


class _BoundedReads(io.FileIO):
    """A file that refuses to read the index of an archive of millions of members."""

    def read(self, size: int | None = -1, /) -> Any:
        if size is not None and size > MAX_INDEX:
            raise ValueError(f"its index has {size} bytes, expected at most {MAX_INDEX}")
        return super().read(size)


def read_torch(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict of a torch file; the tensors stay on disk until they are used.

    A 22 GB file takes address space and no memory. Tensors may lie in the root, under `module` or
    `state_dict` as DeepSpeed and SAT write them, or under `ema` as Latte does; plain numbers and
    texts beside them, and the known remains of a training run, are ignored.

    Raises:
        ValueError: if the file is damaged, holds anything but tensors and plain data, or holds no
            state dict.
        OSError: if it cannot be read or mapped.
    """
    path = Path(path)
    entries = _entries(path)
    (name,) = (name for name in entries if name.rsplit("/", 1)[-1] == "data.pkl")
    root = name.removesuffix("data.pkl")
    try:
        content = describe(_record(path, entries[name]))
        order = entries.get(f"{root}byteorder")
        if order is not None and _record(path, order) != b"little":
            raise ValueError("its values are not in little-endian order")
    except Forbidden as error:
        raise ValueError(
            f"{path} holds the object {show(str(error))} beside tensors, which could run code: "
            "expected tensors and plain data only"
        ) from None
    except ValueError as error:
        raise _damaged(path, error) from None
    if not isinstance(content, Items):
        kind = type(content).__name__ if isinstance(content, list | tuple) else "single value"
        raise ValueError(f"{path} holds a {kind}, expected a state dict")
    state = content.texts()
    for key in ("module", "state_dict", "ema"):
        inside = state.get(key)
        if isinstance(inside, Items):
            state = inside.texts()
            break
    return _tensors(path, state, entries, root)


def zip_entries(path: Path) -> list[zipfile.ZipInfo]:
    """The members of a zip file, of which only the index is read.

    Raises:
        ValueError: if it is damaged, or has an index of more than `MAX_INDEX` bytes.
        OSError: if it is not readable.
    """
    try:
        with _BoundedReads(path) as file, zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, struct.error):
        raise ValueError(
            f"{path} is cut off or damaged (no zip index): download it again"
        ) from None


def read_member(path: Path, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of a member that is stored as it is.

    Raises:
        ValueError: if they do not lie within the file.
    """
    begin, stop = _place(path, entry)
    with path.open("rb") as file:
        file.seek(begin)
        return file.read(stop - begin)


def _entries(path: Path) -> dict[str, zipfile.ZipInfo]:
    entries = zip_entries(path)
    pickles = [entry for entry in entries if entry.filename.rsplit("/", 1)[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise ValueError(f"{path} is a zip file that torch did not write, expected weights")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise ValueError(f"{path} is a compressed zip file, expected one as torch.save writes it")
    if pickles[0].file_size > MAX_PICKLE:
        raise ValueError(
            f"{path} has a pickle of {pickles[0].file_size} bytes, expected at most {MAX_PICKLE}"
        )
    return {entry.filename: entry for entry in entries}


def _record(path: Path, entry: zipfile.ZipInfo) -> bytes:
    content = read_member(path, entry)
    if zlib.crc32(content) != entry.CRC:
        raise ValueError(f"the checksum of {show(entry.filename)} is wrong")
    return content


def _place(path: Path, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """First byte of a member's content, and the byte behind the last."""
    with path.open("rb") as file:
        file.seek(max(entry.header_offset, 0))
        header = file.read(_LOCAL_HEADER.size)
        if len(header) != _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise ValueError(f"{show(entry.filename)} is not where the index says")
        _, name, extra = _LOCAL_HEADER.unpack(header)
    begin = entry.header_offset + _LOCAL_HEADER.size + name + extra
    if begin + entry.file_size > path.stat().st_size:
        raise ValueError(f"{show(entry.filename)} is cut off")
    return begin, begin + entry.file_size


def _tensors(
    path: Path, state: Mapping[str, object], entries: Mapping[str, zipfile.ZipInfo], root: str
) -> dict[str, Tensor]:
    """Views of the mapped file; values that are no tensors are left out."""
    found = {n: v for n, v in state.items() if isinstance(v, Described) or v is UNPLAIN}
    if not found:
        raise ValueError(f"{path} holds no tensors, expected a state dict")
    if len(found) > MAX_TENSORS or max(map(len, found)) > MAX_NAME:
        raise ValueError(
            f"{path} has {len(found)} tensors with names of up to {max(map(len, found))} "
            f"characters, expected at most {MAX_TENSORS} and {MAX_NAME}"
        )
    storage = map_file(path, path.stat().st_size)
    places: dict[str, tuple[int, int]] = {}
    tensors: dict[str, Tensor] = {}
    for name, tensor in found.items():
        if not isinstance(tensor, Described):
            raise ValueError(f"{path} has a tensor {show(name)} without plain values")
        key = tensor.stored.key
        try:
            if key not in places:
                places[key] = _stored(path, tensor.stored, entries.get(f"{root}data/{key}"))
        except ValueError as error:
            raise _damaged(path, error) from None
        tensors[name] = _strided(path, name, tensor, storage, *places[key])
    return tensors


def _stored(path: Path, stored: Stored, entry: zipfile.ZipInfo | None) -> tuple[int, int]:
    """Where the bytes of a storage lie."""
    if entry is None:
        raise ValueError(f"the record {show(stored.key)} is missing")
    width = 1 if stored.dtype is None else stored.dtype.itemsize
    if entry.file_size != stored.count * width:
        raise ValueError(
            f"the record {show(stored.key)} has {entry.file_size} bytes for "
            f"{show(stored.count)} values"
        )
    return _place(path, entry)


def _strided(
    path: Path, name: str, tensor: Described, storage: torch.UntypedStorage, begin: int, stop: int
) -> Tensor:
    """One tensor, checked to lie within its storage.

    A view with strides of 0 could claim any size out of a few bytes.
    """
    shape, stride, width = tensor.shape, tensor.stride, tensor.dtype.itemsize
    # Strides are no shape: their product says nothing, and is large for tensors of many sides.
    if not is_shape(shape) or not _is_steps(stride):
        raise ValueError(f"{path} has a tensor {show(name)} of shape {show(shape)}")
    count = (stop - begin) // width
    values = torch.Size(shape).numel()
    last = tensor.offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
    if values > count or (values and last >= count):
        raise ValueError(f"{path} has a tensor {show(name)} larger than its stored values")
    if not values:
        return torch.empty(shape, dtype=tensor.dtype)
    flat = view(storage, tensor.dtype, (count,), begin, begin + count * width)
    return flat.as_strided(shape, stride, flat.storage_offset() + tensor.offset)


def _is_steps(value: object) -> bool:
    """Whether an untrusted value is a tensor's strides."""
    return isinstance(value, list | tuple) and all(is_shape([step]) for step in value)


def _damaged(path: Path, reason: ValueError) -> ValueError:
    return ValueError(f"{path} is a damaged torch file ({reason}): download it again")
