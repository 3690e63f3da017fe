"""Measures of finished videos: tensors in, numbers out; nothing here knows a model."""

from .trajectory import trajectory_error

__all__ = ["trajectory_error"]
