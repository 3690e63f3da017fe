"""Measures of generated videos."""

from .trajectory import trajectory_error

__all__ = ["trajectory_error"]
