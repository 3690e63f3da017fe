"""Which shape and which texture a thing of one colour has, by matching drawn templates.

The thing is cut out by its hue, brought to one place and area, and compared with every shape and
texture of SpriteBind at several turns; nothing is known of how it was generated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.spritebind.sprites import SHAPES, TEXTURES, Sprite, paint
from .metrics.colour import hue_gap, hue_saturation_value, is_colored

_HUE_REACH = 0.09
_FEWEST_PIXELS = 60
_SIDE, _REACH = 40, 1.1  # cells of the patch; half its width in roots of the area
_TURNS = tuple(math.radians(turn) for turn in range(-24, 25, 6))
_PLAIN = 0.12


@dataclass(frozen=True)
class Look:
    """What is seen of one thing in one frame.

    Attributes:
        shape, texture: the nearest template's.
        overlap: of the thing with the shape's template, intersection over union in [0, 1].
        area: pixels.
    """

    shape: str
    texture: str
    overlap: float
    area: float


def area_of(frames: Tensor, hue: float) -> Tensor:
    """Pixels [T] of frames [T, H, W, 3] in [0, 1] that have a hue."""
    return colour_mask(frames, hue).sum((-2, -1)).float()


def colour_mask(frame: Tensor, hue: float) -> Tensor:
    """Pixels [..., H, W] bool of frames [..., H, W, 3] in [0, 1], saturated and near a hue."""
    at, saturation, value = hue_saturation_value(frame)
    return is_colored(saturation, value) & (hue_gap(at, hue) < _HUE_REACH)


def look(frame: Tensor, hue: float) -> Look | None:
    """Shape and texture of the thing of one hue in a frame [H, W, 3] in [0, 1].

    Returns:
        None where fewer than 60 pixels have the colour.
    """
    mask = colour_mask(frame, hue).float()
    area = float(mask.sum())
    if area < _FEWEST_PIXELS:
        return None
    patch = _patch(mask, frame.amax(-1))
    inside, value = patch[0].flatten(), patch[1].flatten()
    shapes, masks, shades = _bank()
    shared = torch.minimum(inside, masks).sum(1)
    overlap = shared / torch.maximum(inside, masks).sum(1)
    best = int(overlap.argmax())
    return Look(
        SHAPES[shapes[best]],
        _texture(inside * masks[best], value, shades[best]),
        float(overlap[best]),
        area,
    )


def _texture(mask: Tensor, value: Tensor, shades: Tensor) -> str:
    """The texture of a thing from its brightness; `shades` [K, P] are those of the drawn ones."""
    inner = mask > 0.9
    seen = value[inner]
    if len(seen) < 16 or float(seen.std() / seen.mean().clamp(min=1e-6)) < _PLAIN:
        return TEXTURES[0]
    drawn = shades[:, inner]
    seen = seen - seen.mean()
    drawn = drawn - drawn.mean(1, keepdim=True)
    match = (drawn @ seen) / (drawn.norm(dim=1) * seen.norm()).clamp(min=1e-6)
    return TEXTURES[1 + int(match.argmax()) % (len(TEXTURES) - 1)]


def _patch(mask: Tensor, *maps: Tensor) -> Tensor:
    """A mask [H, W] and maps of its size, its centroid centred and its area one: [1 + n, S, S]."""
    height, width = mask.shape
    area = mask.sum()
    x = (mask.sum(0) * (torch.arange(width) + 0.5)).sum() / area
    y = (mask.sum(1) * (torch.arange(height) + 0.5)).sum() / area
    reach = torch.linspace(-_REACH, _REACH, _SIDE) * area.sqrt()
    gx, gy = (x + reach) / width * 2 - 1, (y + reach) / height * 2 - 1
    grid = torch.stack([gx.expand(_SIDE, _SIDE), gy[:, None].expand(_SIDE, _SIDE)], -1)
    stacked = torch.stack([mask, *maps])[None]
    return F.grid_sample(stacked, grid[None], align_corners=False)[0]


@cache
def _bank() -> tuple[list[int], Tensor, Tensor]:
    """Templates: the shape of each, their masks [K, P], and their brightness [K, 2 M, P].

    The brightness is of the patterned textures, each at M turns and flips of its own: a reference
    picture shows the thing turned otherwise.
    """
    shapes, masks, shades = [], [], []
    for index, shape in enumerate(SHAPES):
        for turn in _TURNS:
            shapes.append(index)
            mask = _drawn(shape, "plain", turn)[0]
            masks.append(_patch(mask)[0].flatten())
            own = []
            for flip in (False, True):
                for texture in TEXTURES[1:]:
                    _, value = _drawn(shape, texture, turn, flip)
                    own.append(_patch(mask, value)[1].flatten())
            shades.append(torch.stack(own))
    return shapes, torch.stack(masks), torch.stack(shades)


def _drawn(shape: str, texture: str, turn: float, flip: bool = False) -> tuple[Tensor, Tensor]:
    """Coverage and brightness [96, 96] of a sprite in the middle of a black frame."""
    frame = np.zeros((1, 96, 96, 3), dtype=np.float32)
    sprite = Sprite(shape, (1.0, 1.0, 1.0), texture, 24.0, turn, flip)
    cover = paint(frame, sprite, np.full((1, 2), 48.0))
    return torch.from_numpy(cover[0]), torch.from_numpy(frame[0]).amax(-1)
