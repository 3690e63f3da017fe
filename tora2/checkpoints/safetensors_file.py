"""Safetensors files, mapped from disk: looking at one reads its header and nothing else.

`safe_open(...).get_tensor` touches every tensor's first page, which on a cold disk reads most of
the file; here the tensors are views of one mapping.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..fields import load_json, plain, show
from ..files import atomic_path
from .mapped import MAX_NAME, MAX_TENSORS, is_shape, map_file, view

MAX_HEADER = 16 * 1024 * 1024

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Entry:
    """A tensor as the header describes it.

    Attributes:
        dtype: in safetensors' words, which may be one that torch lacks.
        shape: of the tensor.
        begin, end: bytes of the file that hold its values.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file says that it holds.

    Attributes:
        entries: by name, in the file's order.
        metadata: the texts beside them.
        size: bytes of the whole file, in which every entry lies.
    """

    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]
    size: int


def read_header(path: Path) -> Header:
    """The checked header of a file of which the ninth byte is `{`.

    Raises:
        ValueError: if the file is damaged or cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER:
            raise ValueError(
                f"{path} claims a safetensors header of {length} bytes, "
                f"expected at most {MAX_HEADER}: it is damaged or no safetensors file"
            )
        if length > size - 8:
            raise ValueError(
                f"{path} is cut off within its header, "
                f"{size} of at least {8 + length} bytes: download it again"
            )
        content = file.read(length)
    start = 8 + length
    try:
        header = load_json(content, str(path), MAX_HEADER)
        many = len(header) if isinstance(header, dict) else 0
        if many <= MAX_TENSORS:
            entries, metadata = _parse(header, start)
    except ValueError:
        raise ValueError(f"{path} has a damaged safetensors header: download it again") from None
    if many > MAX_TENSORS:
        raise ValueError(f"{path} has {many} tensors, expected at most {MAX_TENSORS}")
    end = max((entry.end for entry in entries.values()), default=start)
    if size < end:
        raise ValueError(f"{path} is cut off, {size} of {end} bytes: download it again")
    if wrong := _gap(entries, start, size):
        raise ValueError(f"{path} is a damaged safetensors file ({wrong}): download it again")
    return Header(entries, metadata, size)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """The tensors of a file, in its order, and its metadata.

    Args:
        path: a file of which the ninth byte is `{`.

    Raises:
        ValueError: if the file is damaged or cut off, or has a dtype that torch lacks.
        OSError: if it cannot be read or mapped.
    """
    header = read_header(path)
    storage = map_file(path, header.size)
    tensors = {}
    for name, entry in header.entries.items():
        if entry.dtype not in _DTYPES:
            known = ", ".join(_DTYPES)
            raise ValueError(
                f"{path} has {show(name)} as {show(entry.dtype)}, expected one of {known}: "
                "it is quantised"
            )
        dtype = _DTYPES[entry.dtype]
        tensors[name] = view(storage, dtype, entry.shape, entry.begin, entry.end)
    return tensors, header.metadata


def write_safetensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write a file, whole or not at all.

    Args:
        path: the file to write.
        tensors: as they are; two that share their values are written twice.
        metadata: texts beside them.

    Raises:
        OSError: if it cannot be written, as on a full disk.
    """
    apart: dict[str, Tensor] = {}
    ends: dict[int, int] = {}  # of the values written so far, by the storage's first byte
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_ptr()):
        storage = tensor.untyped_storage().data_ptr()
        shared = tensor.data_ptr() < ends.get(storage, 0)
        whole = tensor.contiguous()
        apart[name] = whole.clone() if shared and whole is tensor else whole
        ends[storage] = max(ends.get(storage, 0), tensor.data_ptr() + tensor.nbytes)
    with atomic_path(path) as temporary:
        try:
            save_file(apart, temporary, dict(metadata))
        except SafetensorError as error:
            reason = plain(str(error).rstrip("."), 200)
            raise OSError(f"cannot write {os.fspath(path)}: {reason}") from None


def _parse(header: object, start: int) -> tuple[dict[str, Entry], Mapping[str, str]]:
    """ValueError, for which the caller has the words, if a header is not as it should be."""
    if not isinstance(header, dict):
        raise ValueError
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, Mapping) or not all(isinstance(x, str) for x in metadata.values()):
        raise ValueError
    return {name: _entry(name, value, start) for name, value in header.items()}, metadata


def _entry(name: str, value: object, start: int) -> Entry:
    if len(name) > MAX_NAME or not isinstance(value, dict):
        raise ValueError
    dtype, shape, offsets = (value.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or not isinstance(shape, list) or not is_shape(shape):
        raise ValueError
    if not isinstance(offsets, list) or [type(x) for x in offsets] != [int, int]:
        raise ValueError
    return Entry(dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _gap(entries: Mapping[str, Entry], start: int, size: int) -> str:
    """What is wrong with the places of the values, which lie one behind the other to the end."""
    position = start
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        dtype = _DTYPES.get(entry.dtype)
        fits = dtype is None or entry.end - entry.begin == dtype.itemsize * prod(entry.shape)
        if entry.begin != position or entry.end < position or not fits:
            return f"the place of {plain(name)} does not fit"
        position = entry.end
    return "" if position == size else f"{size - position} bytes behind the last tensor"
