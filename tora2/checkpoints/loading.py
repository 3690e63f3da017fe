"""Load an adapter from any file that holds one."""

from __future__ import annotations

import os

import torch

from ..models.adapter import Tora2Adapter
from .adapter_format import adapter_from, is_adapter_file
from .weights import read_file


def load_adapter(path: str | os.PathLike[str], dtype: torch.dtype | None = None) -> Tora2Adapter:
    """Load an adapter."""
    weights = read_file(path)
    if is_adapter_file(weights):
        return adapter_from(weights, dtype)
    raise ValueError(f"{path} is no Tora2 adapter")
