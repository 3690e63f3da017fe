"""Cutting characters out of their pictures with the host's own background removal."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def foreground(model: Any, images: Tensor) -> Tensor:
    """Masks [N, H, W] in [0, 1], white on what is in front, of pictures [N, H, W, C].

    Raises:
        ValueError: if `model` is nothing that Load Background Removal Model gives.
    """
    if not hasattr(model, "encode_image"):
        raise ValueError(
            f"background_removal is a {type(model).__name__}, expected what Load Background "
            "Removal Model gives"
        )
    return model.encode_image(images[..., :3]).float().cpu()
