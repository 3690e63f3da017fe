"""From the document to points at every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .camera import filmed
from .curves import Array, polyline
from .document import Track, TrajectoryDocument
from .timing import progress_of, scale_over_time


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
        scale: [N, T] float32, how large the entity is, 1 for the height that its cut-out is given;
            ones where none is given. Tora's flow does not know it.
    """

    points: Tensor
    visible: Tensor
    entity: Tensor
    width: int
    height: int
    frames: int
    scale: Tensor = None  # type: ignore[assignment]  # ones, as soon as the shape is known

    def __post_init__(self) -> None:
        shapes = tuple(tuple(part.shape) for part in (self.points, self.visible, self.entity))
        count = len(self.entity)
        if shapes != ((count, self.frames, 2), (count, self.frames), (count,)):
            raise ValueError(
                f"points, visible, entity have shapes {shapes}, "
                f"expected [N, {self.frames}, 2], [N, {self.frames}], [N]"
            )
        if self.scale is None:
            object.__setattr__(self, "scale", torch.ones(count, self.frames).to(self.points))
        if self.scale.shape != (count, self.frames):
            shape = tuple(self.scale.shape)
            raise ValueError(f"scale has the shape {shape}, expected [{count}, {self.frames}]")


def sample(document: TrajectoryDocument) -> Tracks:
    """Sample every track of a document at every frame.

    Returns:
        Points in the pixels of the document's own width and height.
    """
    count, frames = len(document.tracks), document.frames
    size = np.array([document.width, document.height], dtype=np.float64)
    points = np.empty((count, frames, 2))
    visible = np.empty((count, frames), dtype=bool)
    scale = np.empty((count, frames))
    for row, track in enumerate(document.tracks):
        points[row], scale[row] = _positions(track, size, frames)
        visible[row] = _visible(track, frames)
    if document.camera is not None:
        points, zoom = filmed(points, document.camera, size, frames)
        scale *= zoom
    index = {entity.id: place for place, entity in enumerate(document.entities)}
    owners = [-1 if track.entity is None else index[track.entity] for track in document.tracks]
    return Tracks(
        points=torch.from_numpy(points).float(),
        visible=torch.from_numpy(visible),
        entity=torch.tensor(owners, dtype=torch.int64),
        width=document.width,
        height=document.height,
        frames=frames,
        scale=torch.from_numpy(scale).float(),
    )


def _positions(track: Track, size: Array, frames: int) -> tuple[Array, Array]:
    """Places [T, 2] in pixels and sizes [T] at every frame."""
    control = np.array([(point.x, point.y) for point in track.points]) * size
    line = polyline(control, track.curve, track.tension, handles_of(track, size))
    now = progress_of(track, frames)
    places = line.at(now.of(line.control_lengths[now.key_points]))
    return places, scale_over_time(track, line.control_lengths, now)


def handles_of(track: Track, size: Array) -> Array | None:
    """Bezier handles [n, 2, 2] in pixels, NaN where a point has none; None where no point has."""
    if all(point.arrive is None and point.leave is None for point in track.points):
        return None
    none = (np.nan, np.nan)
    return np.array([(p.arrive or none, p.leave or none) for p in track.points]) * size


def _visible(track: Track, frames: int) -> npt.NDArray[np.bool_]:
    frame = np.arange(frames)
    result: npt.NDArray[np.bool_] = (frame >= track.start) & (frame <= track.end)
    if track.before == "wait":
        result |= frame < track.start
    if track.after == "wait":
        result |= frame > track.end
    for first, last in track.hidden:
        result[first : last + 1] = False
    return result
