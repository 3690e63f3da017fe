"""A weights file as one mapping in memory, and tensors as views of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MAX_TENSORS = 16_384
MAX_NAME = 1000
MAX_RANK = 16
_LARGEST = 2**62


def map_file(path: Path, size: int) -> torch.UntypedStorage:
    """Map the first `size` bytes; they are read when they are used, and never written back.

    Raises:
        OSError: if the system has no address space for them.
    """
    try:
        storage: Any = torch.UntypedStorage.from_file(os.fspath(path), shared=False, nbytes=size)
    except RuntimeError:
        raise OSError(f"{path} of {size} bytes cannot be mapped into memory") from None
    mapped: torch.UntypedStorage = storage
    return mapped


def is_shape(value: object) -> bool:
    """Whether an untrusted value is a shape that torch can count the numbers of."""
    return (
        isinstance(value, list | tuple)
        and len(value) <= MAX_RANK
        and all(type(side) is int and 0 <= side < _LARGEST for side in value)
        and prod(max(side, 1) for side in value) < _LARGEST
    )


def view(
    storage: torch.UntypedStorage, dtype: torch.dtype, shape: Sequence[int], begin: int, stop: int
) -> Tensor:
    """The values between two bytes of a mapping, which are as many as `shape` has."""
    flat = torch.empty(0, dtype=torch.uint8).set_(storage, begin, (stop - begin,), (1,))
    if begin % dtype.itemsize:
        flat = flat.clone()  # a tensor can only be a view where its values are aligned
    result: Tensor = flat.view(dtype).view(list(shape))
    return result
