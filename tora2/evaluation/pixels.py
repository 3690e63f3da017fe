"""Pictures as the benchmark's networks take them: by Pillow, as its evaluators do, to the bit."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def resized(picture: Tensor, size: tuple[int, int], how: str = "bicubic") -> Tensor:
    """uint8 [3, height, width] of uint8 [3, H, W], antialiased.

    Args:
        picture: uint8 [3, H, W].
        size: (height, width).
        how: `bicubic` or `bilinear`.
    """
    image = Image.fromarray(picture.movedim(0, -1).contiguous().cpu().numpy())
    filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), filters[how])
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(*size, 3).movedim(-1, 0)


def normalised(picture: Tensor, statistics: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    """Float [3, H, W] of uint8 [3, H, W], by the mean and the deviation of [0, 1] pixels."""
    mean, std = (torch.tensor(part)[:, None, None] for part in statistics)
    return (picture.float() / 255 - mean) / std


def middle_square(picture: Tensor) -> Tensor:
    """The square [3, S, S] in the middle of [3, H, W]."""
    height, width = picture.shape[1:]
    side = min(height, width)
    # Half a pixel is rounded to the even one, as torchvision's crop does.
    top, left = round((height - side) / 2), round((width - side) / 2)
    return picture[:, top : top + side, left : left + side]
