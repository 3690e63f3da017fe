"""Augmentation of reference pictures in training, as in Video Alchemist (arXiv
2501.06187, supplement).

A reference that is never the very pixels of the clip teaches identity instead of copying.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .pictures import resize

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Augmentation:
    """Ranges that are drawn from evenly.

    Attributes:
        smallest: pixels of the long side that downscaling may go to.
        blur: largest Gaussian kernel as a fraction of the long side.
        colour: saturation and hue (in turns) are changed by up to this much.
        brightness: is changed by up to this much.
        flip: probability of mirroring.
        shear: tangent, either way.
        rotation: degrees, either way.
        crop: smallest side of the random crop, as a fraction.
    """

    smallest: int = 112
    blur: float = 1 / 50
    colour: float = 0.05
    brightness: float = 0.1
    flip: float = 0.5
    shear: float = 0.05
    rotation: float = 20.0
    crop: float = 0.67


def augment(image: Tensor, seed: int, ranges: Augmentation | None = None) -> Tensor:
    """A variation of a reference picture that is a function of the picture and the seed alone.

    Args:
        image: uint8 [3, H, W], on white.
        seed: of the random draws.
        ranges: what is drawn; the defaults are Video Alchemist's.

    Returns:
        uint8 [3, H', W'], white where the picture was turned away.
    """
    c = ranges or Augmentation()
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(12, generator=generator, dtype=torch.float64).tolist()

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(draws.pop())

    x = image.float() / 255
    height, width = x.shape[1:]
    side = max(height, width)
    factor = between(min(1.0, c.smallest / side), 1.0)
    small = (max(1, round(height * factor)), max(1, round(width * factor)))
    x = resize(resize(x, small), (height, width)).clamp(0, 1)
    x = _blurred(x, between(1, max(1.0, side * c.blur)))
    x = _coloured(x, between(1 - c.colour, 1 + c.colour), between(-c.colour, c.colour))
    x = (x * between(1 - c.brightness, 1 + c.brightness)).clamp(0, 1)
    if between(0, 1) < c.flip:
        x = x.flip(2)
    x = _turned(x, between(-c.rotation, c.rotation), between(-c.shear, c.shear))
    rows, columns = (max(1, round(n * between(c.crop, 1))) for n in (height, width))
    top, left = round(between(0, height - rows)), round(between(0, width - columns))
    x = x[:, top : top + rows, left : left + columns]
    return (x * 255).round().to(torch.uint8)


def _blurred(x: Tensor, kernel: float) -> Tensor:
    """Gaussian whose standard deviation is that of OpenCV's for an odd kernel of this size."""
    size = int(kernel) // 2 * 2 + 1
    if size == 1:
        return x
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    at = torch.arange(size, dtype=x.dtype) - size // 2
    weight = torch.softmax(-0.5 * (at / sigma).square(), dim=0)
    for shape, padding in (((1, 1, 1, size), (size // 2,) * 2 + (0, 0)),) + (
        ((1, 1, size, 1), (0, 0) + (size // 2,) * 2),
    ):
        padded = F.pad(x[:, None], padding, mode="replicate")
        x = F.conv2d(padded, weight.view(shape))[:, 0]
    return x


def _coloured(x: Tensor, saturation: float, hue: float) -> Tensor:
    """Saturation about the luma, and hue turned in the plane of chroma (YIQ)."""
    to_yiq = torch.tensor([_LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)], dtype=x.dtype)
    cos, sin = (saturation * f(2 * math.pi * hue) for f in (math.cos, math.sin))
    turn = torch.tensor([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], dtype=x.dtype)
    return torch.einsum("ij,jhw->ihw", torch.linalg.inv(to_yiq) @ turn @ to_yiq, x).clamp(0, 1)


def _turned(x: Tensor, degrees: float, shear: float) -> Tensor:
    """Rotated and sheared about the centre, in pixels, white around."""
    height, width = x.shape[1:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = torch.tensor([[cos, -sin], [sin, cos]]) @ torch.tensor([[1.0, shear], [0.0, 1.0]])
    scale = torch.tensor([[1.0, height / width], [width / height, 1.0]])  # grids are normalised
    theta = torch.cat([matrix * scale, torch.zeros(2, 1)], dim=1).to(x.dtype)
    grid = F.affine_grid(theta[None], [1, 3, height, width], align_corners=False)
    return 1 - F.grid_sample(1 - x[None], grid, align_corners=False)[0].clamp(0, 1)
