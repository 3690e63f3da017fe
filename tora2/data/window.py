"""From a clip's own frames and size to those of a model: which frames, which part, which points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..encoders.pictures import covering
from .record import ClipRecord


@dataclass(frozen=True)
class Window:
    """Frames `start`, `start + stride`, … of a clip, `frames` of them."""

    start: int
    stride: int
    frames: int

    @property
    def stop(self) -> int:
        """The frame after the last."""
        return self.start + (self.frames - 1) * self.stride + 1


def choose_window(record: ClipRecord, frames: int, fps: float) -> Window:
    """The middle of a clip, at a rate as near to `fps` as its length allows.

    Of 99 frames at 30 a second, 49 at 8 would need every fourth; every second is what fits.

    Args:
        record: of the clip; `frames`: how many are wanted; `fps`: how many a second.

    Raises:
        ValueError: if the clip has fewer frames.
    """
    if record.frames < frames:
        raise ValueError(f"it has {record.frames} frames, expected at least {frames}")
    wanted = max(1, round(record.fps / fps))
    stride = min(wanted, (record.frames - 1) // (frames - 1)) if frames > 1 else 1
    span = (frames - 1) * stride + 1
    return Window((record.frames - span) // 2, stride, frames)


def windowed_tracks(
    record: ClipRecord, window: Window, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The tracks of a clip where its frames are resized to cover `size` and cut to its middle.

    A point that was in the picture and is cut off is no longer visible; one that had left it
    before stays as it was.

    Args:
        record: of the clip; `window`: its frames.
        size: (height, width) in pixels.

    Returns:
        Points [K, T, 2] as fractions of what is kept, visible [K, T] bool, and the place [K] of
        each track's entity.
    """
    height, width = size
    (rows, columns), (top, left) = covering((record.height, record.width), size)
    taken = np.arange(window.start, window.stop, window.stride)
    points = np.empty((0, window.frames, 2))
    visible = np.empty((0, window.frames), bool)
    owners = [i for i, entity in enumerate(record.entities) for _ in entity.tracks]
    tracks = [track for entity in record.entities for track in entity.tracks]
    if tracks:
        whole = np.stack([track.points[taken] for track in tracks]).astype(np.float64)
        points = (whole * (columns, rows) - (left, top)) / (width, height)
        cut = _inside(whole) & ~_inside(points)
        visible = np.stack([track.visible[taken] for track in tracks]) & ~cut
    return (
        torch.from_numpy(points).float(),
        torch.from_numpy(visible),
        torch.tensor(owners, dtype=torch.int64),
    )


def _inside(points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.all((points >= 0) & (points <= 1), axis=-1)
