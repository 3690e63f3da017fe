"""Phased integration: a motion is laid down early in the sampling, looks come late."""

from __future__ import annotations

from ..scene import Window

BOUNDARY = 333
"""Timestep of 1000 below which the motion LoRA is off, in the released code."""


def phased(strength: float = 1.0, boundary: int = BOUNDARY, timesteps: int = 1000) -> Window:
    """The strength over the schedule of a motion LoRA that acts at high noise alone.

    Args:
        strength: while it acts.
        boundary: the last timestep at which it acts; 0 is always.
        timesteps: length of the training schedule.

    Raises:
        ValueError: if the boundary is no timestep.

    Source: "Separate Motion from Appearance", phased LoRA integration.
    """
    if not 0 <= boundary < timesteps:
        raise ValueError(f"the boundary is {boundary}, expected a timestep below {timesteps}")
    return Window(strength, 0.0, 1 - boundary / timesteps)
