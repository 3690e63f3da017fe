"""Paths drawn onto a video: where every entity was asked to go, and where it was seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ImageColor
from torch import Tensor

from .drawing import Heads, Ink, Trails
from .trajectory import Tracks, TrajectoryDocument
from .trajectory.document import PALETTE

Color = str | Sequence[float]


def track_colors(document: TrajectoryDocument) -> list[str]:
    """`#rrggbb` for every track: its entity's colour, or a free track's place in the palette."""
    owned = {entity.id: entity.color for entity in document.entities}
    used = set(owned.values())
    spare = [color for color in PALETTE if color not in used] or list(PALETTE)
    free = [track.id for track in document.tracks if track.entity is None]
    return [
        spare[free.index(track.id) % len(spare)] if track.entity is None else owned[track.entity]
        for track in document.tracks
    ]


def draw_tracks(
    frames: Tensor,
    tracks: Tracks,
    colors: Sequence[Color],
    *,
    measured: Tensor | None = None,
    scale: int = 1,
    labels: Sequence[str] | None = None,
    advance: Callable[[], None] | None = None,
) -> Tensor:
    """Draw requested and measured paths onto a video.

    A requested path is a line in its entity's colour, paler where it has yet to go, with a disk at
    the current frame; a measured one is a dashed white line up to the current frame, with a cross.

    Args:
        frames: [T, H, W, 3] RGB in [0, 1].
        tracks: T frames of paths; their canvas is stretched over the video.
        colors: one a track, `#rrggbb` or RGB in [0, 1].
        measured: [N, T, 2] seen positions in the pixels of `tracks`, NaN where there is none.
        scale: whole factor by which the video is enlarged first, so that lines stay legible.
        labels: one text a track, beside its disk; an empty one is left out.
        advance: called before every frame; what it raises ends the drawing.

    Returns:
        [T, H * scale, W * scale, 3] float32 in [0, 1], on the device of `frames`.

    Raises:
        ValueError: if shapes or counts do not agree, or a colour or `scale` is out of range.
    """
    _check(frames, tracks, measured, scale)
    count, height, width = len(frames), frames.shape[1] * scale, frames.shape[2] * scale
    painter = Painter((height, width), tracks, colors, measured=measured, labels=labels)
    result = torch.empty(count, height, width, 3)
    for time, (frame, place) in enumerate(zip(frames, result, strict=True)):
        if advance is not None:
            advance()
        place.copy_(_enlarged(frame, scale))
        painter.draw(time, place)
    return result.to(frames.device)


def memory(frames: int, height: int, width: int) -> int:
    """Bytes that a drawn video takes while it is drawn: its frames, and the layers of one frame."""
    return height * width * (12 * frames + 160)


class Painter:
    """Draws requested and measured paths onto the frames of a video, one after another.

    Args:
        size: (height, width) of the frames in pixels; the tracks' canvas is stretched over it.
        tracks, colors, measured, labels: as in `draw_tracks`.

    Raises:
        ValueError: if the counts do not agree, or a colour is not one.
    """

    def __init__(
        self,
        size: tuple[int, int],
        tracks: Tracks,
        colors: Sequence[Color],
        *,
        measured: Tensor | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.inks = [_ink(color) for color in colors]
        texts = [""] * len(self.inks) if labels is None else list(labels)
        for name, values in (("colors", self.inks), ("labels", texts)):
            if len(values) != len(tracks.entity):
                raise ValueError(f"{name} has {len(values)} items, expected {len(tracks.entity)}")
        height, width = size
        factor = np.array([width / tracks.width, height / tracks.height])
        self.points = tracks.points.cpu().double().numpy() * factor  # [N, T, 2]
        self.seen = None if measured is None else measured.detach().cpu().double().numpy() * factor
        self.visible = tracks.visible.cpu().numpy()
        self.trails = Trails(size, self.points, self.visible, self.inks, self.seen)
        self.heads = Heads(size, texts)

    def draw(self, time: int, frame: Tensor | None = None) -> None:
        """Go on to frame `time`; every frame comes, in order.

        Args:
            time: of the frame, from 0.
            frame: [H, W, 3] float32 on the CPU, drawn on in place; None where it is not wanted.
        """
        self.trails.proceed(time)
        if frame is None:
            return
        self.trails.over(frame)
        if self.seen is not None:
            for path in self.seen:
                self.heads.cross(frame, path[time])
        for row, (path, shown) in enumerate(zip(self.points, self.visible, strict=True)):
            if shown[time]:
                self.heads.disk(frame, path[time], self.inks[row], row)


def contact_sheet(frames: Tensor, columns: int, rows: int = 1, gap: int = 4) -> Tensor:
    """Evenly spaced frames of a video, the first and the last among them, in one picture.

    Args:
        frames: [T, H, W, 3] in [0, 1].
        columns, rows: pictures across and down, read line by line.
        gap: white pixels between them.

    Returns:
        [rows * (H + gap) - gap, columns * (W + gap) - gap, 3].
    """
    if columns < 1 or rows < 1 or gap < 0:
        raise ValueError(
            f"columns, rows, gap are {columns}, {rows}, {gap}, expected at least 1, 1, 0"
        )
    count, height, width, _ = frames.shape
    sheet = frames.new_ones(rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    times = torch.linspace(0, count - 1, columns * rows).round().long().tolist()
    for place, time in enumerate(times):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        sheet[top : top + height, left : left + width] = frames[time]
    return sheet


def _check(frames: Tensor, tracks: Tracks, measured: Tensor | None, scale: int) -> None:
    if frames.ndim != 4 or frames.shape[-1] != 3 or not frames.is_floating_point():
        raise ValueError(
            f"frames are {frames.dtype} {tuple(frames.shape)}, expected floating [T, H, W, 3]"
        )
    if len(frames) != tracks.frames:
        raise ValueError(f"the tracks have {tracks.frames} frames, expected {len(frames)}")
    if measured is not None and measured.shape != tracks.points.shape:
        raise ValueError(
            f"measured has the shape {tuple(measured.shape)}, "
            f"expected {tuple(tracks.points.shape)} as the tracks"
        )
    if scale < 1:
        raise ValueError(f"scale is {scale}, expected at least 1")


def _enlarged(frame: Tensor, scale: int) -> Tensor:
    """A frame [H, W, 3] as float32 on the CPU, each side `scale` times as long."""
    frame = frame.detach().cpu().float()
    if scale == 1:
        return frame.clamp(0, 1)
    large = F.interpolate(frame.movedim(-1, 0)[None], scale_factor=scale, mode="bicubic")
    return large[0].clamp_(0, 1).movedim(0, -1)


def _ink(color: Color) -> Ink:
    try:
        if isinstance(color, str):
            red, green, blue = ImageColor.getrgb(color)[:3]
        else:
            red, green, blue = (round(255 * value) for value in color)
    except (TypeError, ValueError):
        raise ValueError(f"a colour is {color!r}, expected #rrggbb or RGB in [0, 1]") from None
    if min(red, green, blue) < 0 or max(red, green, blue) > 255:
        raise ValueError(f"a colour is {color!r}, expected #rrggbb or RGB in [0, 1]")
    return red, green, blue, 255
