"""Evaluation: pure measures in `metrics`, and what runs a model to measure it beside them."""

from .metrics import trajectory_error

__all__ = ["trajectory_error"]
