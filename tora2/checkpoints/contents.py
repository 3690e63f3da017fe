"""In words, what a file's tensors are, told by their names and shapes."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from .cogvideox_keys import find_transformer
from .motion_keys import PARTS, motion_tensors, parts_of

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
    if _is_cogvideox_vae(tensors):
        found.append("a CogVideoX VAE")
    return found


def _is_cogvideox_vae(tensors: Mapping[str, Tensor]) -> bool:
    """A causal encoder, and norms in the decoder that the latents modulate."""
    causal = any(
        name.endswith("encoder.conv_in.conv.weight") and tensor.ndim == 5
        for name, tensor in tensors.items()
    )
    return causal and any(".norm1.conv_y." in name for name in tensors)


def _some(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(sorted(tensors)[:3]) or "none at all"
