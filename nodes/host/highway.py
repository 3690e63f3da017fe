"""The appearance highway on the host's U-Nets."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from torch import Tensor


def scale_skips(model: ModelPatcher, beta: float) -> ModelPatcher:
    """A clone of a U-Net MODEL whose skip branches are multiplied by `beta`.

    Raises:
        ValueError: if the model has no skip branches.
    """
    network = model.model.diffusion_model
    if not hasattr(network, "output_blocks"):
        raise ValueError(
            f"the model is a {type(network).__name__}, which has no skip branches to scale; "
            "the appearance highway needs a U-Net"
        )

    def scale(hidden: Tensor, skip: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return hidden, skip * beta

    patched = model.clone()
    patched.set_model_output_block_patch(scale)
    return patched
