"""Dynamic guidance: the scale of classifier-free guidance over the steps."""

import math


def dynamic_guidance(
    guidance: float, steps: int, timestep: float, upstream: bool = True, timesteps: int = 1000
) -> float:
    """The guidance scale at a timestep, between 1 and 1 + `guidance`.

    Args:
        guidance: how far the scale rises.
        steps: denoising steps.
        timestep: of the training schedule, `timesteps` - 1 at the first step.
        upstream: as CogVideoX and Tora compute it, with the timestep where the number of the step
            was meant; the scale then jumps about instead of rising. Kept for equal numbers.
        timesteps: length of the training schedule.

    Source: `use_dynamic_cfg` of diffusers' CogVideoX pipelines.
    """
    progress = (steps - timestep) / steps if upstream else 1 - (timestep + 1) / timesteps
    return 1 + guidance * (1 - math.cos(math.pi * progress**5)) / 2
