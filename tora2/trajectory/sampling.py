"""From the document to points at every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .curves import Array, polyline
from .document import Track, TrajectoryDocument
from .timing import lengths_over_time


@dataclass(frozen=True, eq=False)
class Tracks:
    """Points at every frame, on a frame of `width` x `height` pixels.

    Attributes:
        points: [N, T, 2] float32 pixels (x, y); origin top-left, y down; x = 0 is the left edge of
            the frame, x = width the right one. Defined at every frame; may lie off the frame.
        visible: [N, T] bool.
        entity: [N] int64 index into the document's entities, -1 for a free track.
        width: width of the frame in pixels.
        height: height of the frame in pixels.
        frames: T.
    """

    points: Tensor
    visible: Tensor
    entity: Tensor
    width: int
    height: int
    frames: int

    def __post_init__(self) -> None:
        shapes = tuple(tuple(part.shape) for part in (self.points, self.visible, self.entity))
        count = len(self.entity)
        if shapes != ((count, self.frames, 2), (count, self.frames), (count,)):
            raise ValueError(
                f"points, visible, entity have shapes {shapes}, "
                f"expected [N, {self.frames}, 2], [N, {self.frames}], [N]"
            )


def sample(document: TrajectoryDocument) -> Tracks:
    """Sample every track of a document at every frame.

    Returns:
        Points in the pixels of the document's own width and height.
    """
    count, frames = len(document.tracks), document.frames
    size = np.array([document.width, document.height], dtype=np.float64)
    points = np.empty((count, frames, 2))
    visible = np.empty((count, frames), dtype=bool)
    for row, track in enumerate(document.tracks):
        points[row] = _positions(track, size, frames)
        visible[row] = (np.arange(frames) >= track.start) & (np.arange(frames) <= track.end)
    index = {entity.id: place for place, entity in enumerate(document.entities)}
    owners = [-1 if track.entity is None else index[track.entity] for track in document.tracks]
    return Tracks(
        points=torch.from_numpy(points).float(),
        visible=torch.from_numpy(visible),
        entity=torch.tensor(owners, dtype=torch.int64),
        width=document.width,
        height=document.height,
        frames=frames,
    )


def _positions(track: Track, size: Array, frames: int) -> Array:
    control = np.array([(point.x, point.y) for point in track.points]) * size
    line = polyline(control, track.curve)
    return line.at(lengths_over_time(track, line.control_lengths, frames))
