"""Saying what a node will need of the host's memory, before it is taken."""

from __future__ import annotations

import torch
from comfy import model_management

GIB = 2**30


def check(need: int, what: str) -> None:
    """Refuse work that the machine's free memory cannot hold.

    Args:
        need: bytes.
        what: takes them, with its size and frames, for the message.

    Raises:
        ValueError: names both amounts.
    """
    free = model_management.get_free_memory(torch.device("cpu"))
    if need > free:
        raise ValueError(
            f"{what} needs {need / GIB:.1f} GiB of memory and {free / GIB:.1f} GiB are free, "
            "expected a smaller or a shorter video"
        )
