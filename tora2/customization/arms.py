"""Which layers of a video model a LoRA moves: all of attention, or keys alone (purification)."""

from __future__ import annotations

from typing import Any

from torch import nn

ARMS: dict[str, tuple[str, ...]] = {
    "full": ("to_q", "to_k", "to_v", "to_out.0"),
    "tap": ("to_k",),
    "tap_released": ("to_k", "to_out.0"),
}
"""Layers of an attention by arm. `tap` is temporal attention purification as the paper has it:
the values stay the base model's and only what attends to what is learned. `tap_released` is what
the released code trains."""

# U-Nets have attention of their own over time; a transformer attends over space, time and, where
# it is joint, text at once, in the one that diffusers calls attn1 (or attn).
_TEMPORAL = ("TransformerTemporalModel", "AnimateDiffTransformer3D")
_SELF = ("attn1", "attn")


def lora_targets(model: Any, arm: str) -> list[str]:
    """Names of the linear layers of a model that an arm trains.

    Args:
        model: a diffusers video model. Of a U-Net it is all attention over time, of a transformer
            the attention among video tokens (with the text's, where that is joint).
        arm: of `ARMS`.

    Raises:
        ValueError: if there is no such arm, or the model has no such attention.
    """
    if arm not in ARMS:
        raise ValueError(f"arm {arm!r} is unknown, expected one of {', '.join(ARMS)}")
    modules = dict(model.named_modules())
    temporal = [n for n, module in modules.items() if type(module).__name__ in _TEMPORAL]
    found = [
        name
        for name, module in modules.items()
        if hasattr(module, "to_k")
        and (
            any(name == one or name.startswith(f"{one}." if one else "") for one in temporal)
            if temporal
            else name.rpartition(".")[2] in _SELF
        )
    ]
    targets = [f"{name}.{layer}" for name in found for layer in ARMS[arm]]
    targets = [name for name in targets if isinstance(modules.get(name), nn.Linear)]
    if not targets:
        raise ValueError(
            f"the model is a {type(model).__name__} without attention over time, "
            "expected a video model of diffusers"
        )
    return targets
