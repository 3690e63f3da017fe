"""Tora's own reading of a point list: integers on a 256 x 256 canvas, uniform time per segment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..fields import integer

CANVAS = 256


def schedule(count: int, frames: int) -> tuple[list[int], list[int]]:
    """Which of `count` points Tora keeps, and at which frame each is passed.

    More points than frames are thinned by the whole-number stride count // frames and cut to the
    first `frames` of them, so the tail of such a path is lost. Fewer points are spread evenly, the
    first segments one frame longer where the division leaves a rest.

    Returns:
        The kept indices and their frames, from 0 to frames - 1.

    Raises:
        ValueError: with fewer than 2 points (upstream's default point is off its canvas) or frames.
    """
    if count < 2:
        raise ValueError(f"a Tora trajectory has {count} points, expected at least 2")
    if frames < 2:
        raise ValueError(f"frames is {frames}, expected at least 2")
    if count > frames:
        return list(range(0, count, count // frames))[:frames], list(range(frames))
    share, rest = divmod(frames - count, count - 1)
    return list(range(count)), [
        segment * (share + 1) + min(segment, rest) for segment in range(count)
    ]


def resample(
    point_lists: Sequence[Sequence[Sequence[int]]], frames: int, size: tuple[int, int]
) -> Tensor:
    """Resample point lists to one pixel per frame, to upstream's integer.

    Args:
        point_lists: N lists of at least 2 integer points (x, y) on the 256 x 256 canvas.
        frames: T.
        size: (height, width) of the output in pixels.

    Returns:
        [N, T, 2] int64 pixels (x, y). Interpolated coordinates are truncated on the canvas, then
        scaled to each axis and truncated again.

    Raises:
        ValueError: for a point off the canvas (upstream fails or wraps around there), a coordinate
            that is not an integer, or fewer than 2 points or frames.

    Source: alibaba/Tora, diffusers-version/tora/traj_utils.py (`read_points`, `process_points`,
    `process_traj`).
    """
    height, width = size
    scale = torch.tensor([width, height])
    paths = [
        torch.tensor(_resample_one(points, f"trajectory {index}", frames))
        for index, points in enumerate(point_lists)
    ]
    if not paths:
        return torch.empty(0, frames, 2, dtype=torch.int64)
    return torch.stack(paths) * scale // CANVAS


def _resample_one(points: Sequence[Sequence[int]], name: str, frames: int) -> list[list[int]]:
    checked = [_point(point, f"{name}, point {index}") for index, point in enumerate(points)]
    kept, keys = schedule(len(checked), frames)
    path = [checked[kept[0]]]
    for segment in range(len(kept) - 1):
        (x0, y0), (x1, y1) = checked[kept[segment]], checked[kept[segment + 1]]
        steps = keys[segment + 1] - keys[segment]
        for step in range(1, steps):
            path.append([int(x0 + step / steps * (x1 - x0)), int(y0 + step / steps * (y1 - y0))])
        path.append([x1, y1])
    return path


def _point(point: Sequence[int], path: str) -> list[int]:
    if len(point) != 2:
        raise ValueError(f"{path} has {len(point)} coordinates, expected 2")
    return [
        integer(value, f"{path}, {axis}", 0, CANVAS - 1)
        for axis, value in zip("xy", point, strict=True)
    ]
