"""Drawn videos of textured discs on known paths."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Path = npt.NDArray[np.float64]


def straight(start: tuple[float, float], end: tuple[float, float], frames: int) -> Path:
    """[T, 2] pixels, evenly from one point to another."""
    return np.linspace(start, end, frames)


def arc(centre: tuple[float, float], radius: float, frames: int, turn: float = 3.0) -> Path:
    """[T, 2] pixels on a part of a circle, `turn` radians of it."""
    angle = np.linspace(0, turn, frames)
    return np.array(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], -1)


def video(
    paths: Sequence[Path], size: tuple[int, int], radius: float = 16.0, plain: bool = False
) -> Tensor:
    """uint8 [T, H, W, 3] of discs with a texture of their own on a still background.

    Args:
        paths: [T, 2] of each disc's centre in pixels, the left edge of the frame at 0.
        size: (height, width) of the frames.
        radius: of the discs.
        plain: a grey background instead of a textured one.
    """
    height, width = size
    ground = np.full((height, width, 3), 120.0) if plain else 60 + 120 * smooth(0, height, width)
    ys, xs = np.mgrid[:height, :width] + 0.5
    side = int(4 * radius)
    frames = []
    for time in range(len(paths[0])):
        frame = ground.copy()
        for index, path in enumerate(paths):
            texture = 255 * smooth(index + 1, side, side, 3)
            dx, dy = xs - path[time, 0], ys - path[time, 1]
            cover = np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1)[..., None]
            look = bilinear(texture, dx + side / 2, dy + side / 2)
            frame = frame * (1 - cover) + look * cover
        frames.append(frame)
    return torch.from_numpy(np.stack(frames).round().clip(0, 255).astype(np.uint8))


def smooth(seed: int, height: int, width: int, grain: int = 8) -> npt.NDArray[np.float64]:
    """[H, W, 3] in [0, 1]: blotches about `grain` pixels wide."""
    rows, columns = height // grain + 3, width // grain + 3
    coarse = np.random.default_rng(seed).random((rows, columns, 3))
    ys, xs = np.mgrid[:height, :width]
    return bilinear(coarse, xs / grain + 1, ys / grain + 1)


def bilinear(image: npt.NDArray[np.float64], x: Path, y: Path) -> npt.NDArray[np.float64]:
    """An image [h, w, 3] at places [...] in pixels; the edge is repeated."""
    x = np.clip(x, 0, image.shape[1] - 1.001)
    y = np.clip(y, 0, image.shape[0] - 1.001)
    left, top = x.astype(int), y.astype(int)
    a, b = (x - left)[..., None], (y - top)[..., None]
    upper = image[top, left] * (1 - a) + image[top, left + 1] * a
    lower = image[top + 1, left] * (1 - a) + image[top + 1, left + 1] * a
    result: npt.NDArray[np.float64] = upper * (1 - b) + lower * b
    return result
