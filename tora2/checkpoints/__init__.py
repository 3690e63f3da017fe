"""Weights on disk: reading every public layout, writing our own, and saying what a file holds."""

from .adapter_format import save_adapter
from .loading import load_adapter

__all__ = ["load_adapter", "save_adapter"]
