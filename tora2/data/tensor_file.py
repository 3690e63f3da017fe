"""Files of named tensors between two runs; reading one runs nothing that lies in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.torch_pickle import read_torch
from ..files import atomic_path


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, whole or not at all. A view is written without what else its memory holds.

    Raises:
        OSError: if the disk is full or the folder not writable.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save({name: value.clone() for name, value in tensors.items()}, file)


@contextmanager
def read_tensors(path: Path) -> Iterator[dict[str, Tensor]]:
    """The tensors of `write_tensors`, mapped from the disk; the block puts them to use.

    Raises:
        ValueError: names the file, if it is damaged or the block finds that it does not fit.
        OSError: if it cannot be read.
    """
    try:
        tensors = read_torch(path)
    except ValueError:
        raise _unfit(path, "it cannot be read") from None
    try:
        yield tensors
    except ValueError as error:
        raise _unfit(path, str(error)) from None


def _unfit(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{str(path)!r} is damaged or of another run: {reason}; remove it to make it anew"
    )
