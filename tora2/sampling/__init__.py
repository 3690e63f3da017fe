"""Denoising a clip: the loop, the solvers that step it, and the guiders that steer it."""

from .collaborative import sample_collaboratively
from .guiders import Branch, ClassifierFree, Dynamic, Guider
from .loop import sample_latents
from .schedules import make_scheduler

__all__ = [
    "Branch",
    "ClassifierFree",
    "Dynamic",
    "Guider",
    "make_scheduler",
    "sample_collaboratively",
    "sample_latents",
]
