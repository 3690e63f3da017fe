"""One rule for pictures of another shape than the video: the first frame's and the editor's."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

FITS = ("crop", "stretch (as Tora)", "pad")
"""Cut from the middle; pulled to the shape; whole, on black."""

Resize = Callable[[Tensor, int, int], Tensor]


def fitted(images: Tensor, width: int, height: int, fit: str, resize: Resize) -> Tensor:
    """Pictures [N, H, W, 3] as [N, height, width, 3].

    Args:
        images: pictures.
        width: of the result in pixels.
        height: of the result in pixels.
        fit: one of `FITS`.
        resize: stretches pictures to a width and a height.
    """
    if fit == "pad":
        return _padded(images, width, height, resize)
    return resize(_cropped(images, width / height) if fit == "crop" else images, width, height)


def _cropped(images: Tensor, shape: float) -> Tensor:
    """The middle of pictures, of this width to height: to the pixel what the host's own cuts."""
    high, wide = images.shape[1:3]
    ratio = shape / (wide / high)
    left = round(wide * (1 - ratio) / 2) if ratio < 1 else 0
    top = round(high * (1 - 1 / ratio) / 2) if ratio > 1 else 0
    return images[:, top : high - top, left : wide - left]


def _padded(images: Tensor, width: int, height: int, resize: Resize) -> Tensor:
    high, wide = images.shape[1:3]
    scale = min(width / wide, height / high)
    w, h = max(1, round(wide * scale)), max(1, round(high * scale))
    left, top = (width - w) // 2, (height - h) // 2
    result = torch.zeros(len(images), height, width, 3, dtype=images.dtype, device=images.device)
    result[:, top : top + h, left : left + w] = resize(images, w, h)
    return result
