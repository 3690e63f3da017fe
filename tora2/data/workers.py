"""Processes that prepare clips, and that end with the process which started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")


def in_lists(data: Dataset[T], size: int, workers: int = 0) -> Iterable[list[T]]:
    """The items of a dataset in order, in lists of up to `size`, from `workers` processes."""
    loader: Any = DataLoader(
        data, batch_size=size, collate_fn=list, num_workers=workers, worker_init_fn=_start
    )
    return loader


def _start(_: int) -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for ever for somebody to take what it made."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
