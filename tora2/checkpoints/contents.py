"""In words, what a file's tensors are, told by their names and shapes."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from .motion_keys import PARTS, motion_tensors, parts_of
from .transformer_keys import find_transformer

OURS = ("personalization.", "cross_attention.", "binder.", "splat.", "to_context.")


def describe(tensors: Mapping[str, Tensor]) -> str:
    """A phrase such as `a CogVideoX transformer in SAT names and Tora's motion parts`."""
    return " and ".join(contents(tensors)) or f"unknown tensors ({_some(tensors)})"


def contents(tensors: Mapping[str, Tensor]) -> list[str]:
    """Every thing that is recognised, as a phrase each."""
    found = []
    transformer = find_transformer(tensors)
    if transformer is not None:
        found.append(str(transformer))
    parts = parts_of(motion_tensors(tensors))
    if len(parts) == 2:
        found.append("Tora's motion parts (trajectory extractor and fusers)")
    elif parts:
        found.append(f"Tora's {PARTS[parts.pop()]} alone")
    if any(name.startswith(OURS) for name in tensors):
        found.append("Tora2's appearance parts")
    if any(".lora_" in name or "lora_down" in name for name in tensors):
        found.append("a LoRA")
    if any(name.endswith("layer.0.SelfAttention.q.weight") for name in tensors):
        found.append("a T5 text encoder")
    if any(_is_video_encoder(name, tensor) for name, tensor in tensors.items()):
        found.append("a CogVideoX VAE")
    return found


def _is_video_encoder(name: str, tensor: Tensor) -> bool:
    return name.endswith("encoder.conv_in.conv.weight") and tensor.ndim == 5


def _some(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(sorted(tensors)[:3]) or "none at all"
