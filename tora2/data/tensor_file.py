"""Files of tensors between two runs, read back with one sentence where they are damaged."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..files import atomic_path

# What torch raises on files that are cut off or changed.
_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    EOFError,
    MemoryError,
    OverflowError,
)


def write_tensors(path: Path, values: Mapping[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all.

    Raises:
        OSError: if the disk is full or the folder not writable.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(dict(values), file)


@contextmanager
def read_tensors(path: Path, device: torch.device | str = "cpu") -> Iterator[dict[str, Any]]:
    """The values of `write_tensors`; the block puts them to use.

    Raises:
        ValueError: names the file, if it is damaged or the block finds that it does not fit.
    """
    try:
        values = torch.load(path, weights_only=True, map_location=device)
        if not isinstance(values, dict):
            raise TypeError(f"it holds a {type(values).__name__}")
        yield values
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ValueError(
            f"{str(path)!r} is damaged or that of another run ({reason}); remove it to make it anew"
        ) from None
