"""Weights on disk: reading every public layout, writing our own, and saying what a file holds."""

from .adapter_format import save_adapter
from .cogvideox_keys import convert_transformer
from .inspection import Inspection, inspect
from .loading import adapter_flow_sigma, load_adapter, read_transformer

__all__ = [
    "Inspection",
    "adapter_flow_sigma",
    "convert_transformer",
    "inspect",
    "load_adapter",
    "read_transformer",
    "save_adapter",
]
