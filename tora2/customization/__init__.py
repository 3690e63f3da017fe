"""Motions and subjects learned from little: "Separate Motion from Appearance" and VideoMage.

What both papers do to losses, to attention and to the schedule, apart from any trainer. See
docs/customization.md for what of it a transformer with joint attention can take over.
"""

from .applying import AppliedLoras
from .arms import ARMS, lora_targets
from .collaboration import Collaboration
from .highway import appearance_highway
from .lora import Lora, LoraInfo, read_lora, write_lora
from .objectives import appearance_agnostic_target, attention_loss, debiased, debiased_loss
from .phases import phased

__all__ = [
    "ARMS",
    "AppliedLoras",
    "Collaboration",
    "Lora",
    "LoraInfo",
    "appearance_agnostic_target",
    "appearance_highway",
    "attention_loss",
    "debiased",
    "debiased_loss",
    "lora_targets",
    "phased",
    "read_lora",
    "write_lora",
]
