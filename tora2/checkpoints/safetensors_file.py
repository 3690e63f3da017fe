"""Safetensors files, mapped from disk: looking at one reads its header and nothing else.

`safe_open(...).get_tensor` touches every tensor's first page, which on a cold disk reads most of
the file; here the header is checked by safetensors and the tensors are views of one mapping.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..fields import load_json, show

MAX_HEADER = 100_000_000

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


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, in its order, and its metadata.

    Args:
        path: a file of which the ninth byte is `{`.

    Raises:
        ValueError: if the file is damaged or cut off, or has a dtype that torch lacks.
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
        header = file.read(length)
    start = 8 + length
    try:
        entries: Any = load_json(header, str(path), MAX_HEADER)
        metadata = entries.pop("__metadata__", None) or {}
        places = {n: (e["dtype"], e["shape"], *e["data_offsets"]) for n, e in entries.items()}
        end = start + max((place[3] for place in places.values()), default=0)
    except (ValueError, TypeError, LookupError, AttributeError):
        raise ValueError(f"{path} has a damaged safetensors header: download it again") from None
    if size < end:
        raise ValueError(f"{path} is cut off, {size} of {end} bytes: download it again")
    _check(path, set(places))
    storage: Any = torch.UntypedStorage.from_file(os.fspath(path), shared=False, nbytes=size)
    tensors = {}
    for name, (kind, shape, begin, stop) in places.items():
        if kind not in _DTYPES:
            known = ", ".join(_DTYPES)
            raise ValueError(
                f"{path} has {show(name)} as {show(kind)}, expected one of {known}: it is quantised"
            )
        tensors[name] = _view(storage, _DTYPES[kind], shape, start + begin, start + stop)
    return tensors, metadata


def _check(path: Path, names: set[str]) -> None:
    """Let safetensors check offsets, shapes and sizes against each other."""
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            if set(file.keys()) != names:
                raise SafetensorError("names differ")
    except SafetensorError as error:
        reason = str(error).rstrip(".")
        raise ValueError(
            f"{path} is a damaged safetensors file ({reason}): download it again"
        ) from None


def _view(
    storage: torch.UntypedStorage, dtype: torch.dtype, shape: list[int], begin: int, stop: int
) -> Tensor:
    flat = torch.empty(0, dtype=torch.uint8).set_(storage, begin, (stop - begin,), (1,))
    if begin % dtype.itemsize:
        flat = flat.clone()  # a tensor can only be a view where its values are aligned
    return flat.view(dtype).view(shape)
