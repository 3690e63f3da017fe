"""Anti-aliased sprites: shapes as signed distances, colours, textures and backgrounds.

The drawing half of SpriteBind; `dataset.py` has the other. Positions are pixels as (x, y), origin
top-left, y down; the centre of the top-left pixel is (0.5, 0.5).
"""

import colorsys
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross")
TEXTURES = ("plain", "stripes", "dots")
BACKGROUNDS = {
    "": (0.84, 0.84, 0.84),
    "on grass": (0.46, 0.56, 0.40),
    "on sand": (0.80, 0.74, 0.62),
    "in the sky": (0.66, 0.76, 0.84),
    "at night": (0.17, 0.18, 0.24),
}

_EXTENT, _CELLS = 1.6, 160
_DARK = 0.5

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sprite:
    """What a sprite looks like; `radius` in pixels, `rotation` in radians, `rgb` in [0, 1]."""

    shape: str
    rgb: tuple[float, float, float]
    texture: str
    radius: float
    rotation: float = 0.0
    flip: bool = False


def saturated(
    hue: float, saturation: float = 0.9, value: float = 0.9
) -> tuple[float, float, float]:
    """RGB in [0, 1] of a hue in turns."""
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def _polygon(shape: str) -> NDArray[np.float64]:
    if shape == "square":
        return 0.86 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)
    if shape == "triangle":
        angles = -np.pi / 2 + np.arange(3) * 2 * np.pi / 3
        return 1.15 * np.stack([np.cos(angles), np.sin(angles)], -1)
    if shape == "star":
        angles = -np.pi / 2 + np.arange(10) * np.pi / 5
        reach = np.where(np.arange(10) % 2, 0.52, 1.2)
        return np.stack([reach * np.cos(angles), reach * np.sin(angles)], -1)
    if shape == "cross":
        a, b = 0.38, 1.0
        quarter = [(a, -b), (a, -a), (b, -a)]
        corners = []
        for turn in range(4):
            c, s = np.cos(turn * np.pi / 2), np.sin(turn * np.pi / 2)
            corners += [(c * x - s * y, s * x + c * y) for x, y in quarter]
        return np.array(corners, dtype=np.float64)
    if shape == "heart":
        t = np.linspace(0, 2 * np.pi, 96, endpoint=False)
        x = 16 * np.sin(t) ** 3
        y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
        return np.stack([x, y + 2.5], -1) / 15.0
    raise ValueError(f"shape {shape!r} is unknown; expected one of {', '.join(SHAPES)}")


@cache
def _distance_table(shape: str) -> Array:
    """Signed distance to the unit shape on a [-1.6, 1.6]² grid; negative inside."""
    axis = np.linspace(-_EXTENT, _EXTENT, _CELLS)
    grid = np.stack(np.meshgrid(axis, axis), -1)  # [cells, cells, (x, y)]
    if shape == "circle":
        return (np.linalg.norm(grid, axis=-1) - 1.0).astype(np.float32)
    corners = _polygon(shape)
    start, edge = corners, np.roll(corners, -1, 0) - corners
    offset = grid[:, :, None] - start
    along = np.clip((offset * edge).sum(-1) / (edge**2).sum(-1), 0, 1)
    distance = np.linalg.norm(offset - along[..., None] * edge, axis=-1).min(-1)
    end_y = start[:, 1] + edge[:, 1]
    crosses = (start[:, 1] > grid[..., None, 1]) != (end_y > grid[..., None, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at_x = start[:, 0] + offset[..., 1] * edge[:, 0] / edge[:, 1]
    inside = (crosses & (grid[..., None, 0] < at_x)).sum(-1) % 2 == 1
    return np.where(inside, -distance, distance).astype(np.float32)


def _lookup(table: Array, u: Array, v: Array) -> Array:
    scale = (_CELLS - 1) / (2 * _EXTENT)
    x = np.clip((u + _EXTENT) * scale, 0, _CELLS - 1.001)
    y = np.clip((v + _EXTENT) * scale, 0, _CELLS - 1.001)
    i, j = y.astype(np.int64), x.astype(np.int64)
    fy, fx = y - i, x - j
    top = table[i, j] * (1 - fx) + table[i, j + 1] * fx
    bottom = table[i + 1, j] * (1 - fx) + table[i + 1, j + 1] * fx
    return np.asarray(top * (1 - fy) + bottom * fy, dtype=np.float32)


def _shade(texture: str, u: Array, v: Array) -> Array:
    if texture == "plain":
        return np.ones_like(u)
    if texture == "stripes":
        wave = np.sin(2 * np.pi * u / 0.9)
    elif texture == "dots":
        wave = np.sin(2 * np.pi * u / 1.1) * np.sin(2 * np.pi * v / 1.1) * 2 - 0.4
    else:
        raise ValueError(f"texture {texture!r} is unknown; expected one of {', '.join(TEXTURES)}")
    mix = np.clip(0.5 + 2.5 * wave, 0, 1)
    return np.asarray(1 - (1 - _DARK) * mix, dtype=np.float32)


def paint(frames: Array, sprite: Sprite, centers: NDArray[np.floating]) -> Array:
    """Draw one sprite into every frame, in place.

    Args:
        frames: [T, H, W, 3] in [0, 1].
        sprite: its look.
        centers: [T, 2] centre of the sprite in each frame, pixels (x, y); may be off the frame.

    Returns:
        [T, H, W] the sprite's own coverage in [0, 1].
    """
    count, height, width, _ = frames.shape
    table = _distance_table(sprite.shape)
    reach = int(np.ceil(1.3 * sprite.radius)) + 1
    span = np.arange(2 * reach + 1)
    corner = np.floor(centers).astype(np.int64) - reach  # [T, 2]
    local = corner[:, None] + span[None, :, None] + 0.5 - centers[:, None]  # [T, span, 2]
    dx, dy = np.broadcast_arrays(local[:, None, :, 0], local[:, :, None, 1])
    c, s = np.cos(sprite.rotation), np.sin(sprite.rotation)
    u = ((c * dx + s * dy) / sprite.radius).astype(np.float32)
    v = ((-s * dx + c * dy) / sprite.radius).astype(np.float32)
    if sprite.flip:
        u = -u
    alpha = np.clip(0.5 - _lookup(table, u, v) * sprite.radius, 0, 1)
    color = _shade(sprite.texture, u, v)[..., None] * np.asarray(sprite.rgb, dtype=np.float32)
    coverage = np.zeros((count, height, width), dtype=np.float32)
    for t in range(count):
        x0, y0 = corner[t]
        left, top = max(x0, 0), max(y0, 0)
        right, bottom = min(x0 + len(span), width), min(y0 + len(span), height)
        if left >= right or top >= bottom:
            continue
        window = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
        target = np.s_[t, top:bottom, left:right]
        a = alpha[t][window]
        coverage[target] = a
        frames[target] = frames[target] * (1 - a[..., None]) + color[t][window] * a[..., None]
    return coverage


def background(phrase: str, size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A muted, softly graded background, [H, W, 3] in [0, 1], of a phrase of `BACKGROUNDS`."""
    height, width = size
    base = np.asarray(BACKGROUNDS[phrase], dtype=np.float32) * rng.uniform(0.92, 1.06)
    slope = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * rng.uniform(-0.05, 0.05)
    return np.clip(np.broadcast_to(base + slope, (height, width, 3)), 0, 1).astype(np.float32)
