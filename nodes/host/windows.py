"""The part of the sampling in which a condition acts, by the host's noise levels."""

from __future__ import annotations

from typing import Any

from ...tora2.scene import Window


def strength_at(window: Window, sigma: float, sampling: Any) -> float:
    """The strength at a noise level of the host's `model_sampling`; 0 outside the window."""
    first, last = sampling.percent_to_sigma(window.start), sampling.percent_to_sigma(window.end)
    return window.strength if last <= sigma <= first else 0.0
