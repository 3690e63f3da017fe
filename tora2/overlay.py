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
        ValueError: if shapes or counts do not agree, or a colour or `scale` is none.
    """
    _check(frames, tracks, measured, scale)
    inks = [_ink(color) for color in colors]
    texts = [""] * len(inks) if labels is None else list(labels)
    for name, values in (("colors", inks), ("labels", texts)):
        if len(values) != len(tracks.entity):
            raise ValueError(f"{name} has {len(values)} items, expected {len(tracks.entity)}")
    result = _enlarge(frames, scale)
    height, width = result.shape[1:3]
    factor = np.array([width / tracks.width, height / tracks.height])
    points = tracks.points.cpu().double().numpy() * factor  # [N, T, 2]
    seen = None if measured is None else measured.detach().cpu().double().numpy() * factor
    visible = tracks.visible.cpu().numpy()
    trails = Trails((height, width), points, visible, inks, seen)
    heads = Heads((height, width), texts)
    for time, frame in enumerate(result):
        if advance is not None:
            advance()
        trails.proceed(time)
        trails.over(frame)
        if seen is not None:
            for path in seen:
                heads.cross(frame, path[time])
        for row, (path, shown) in enumerate(zip(points, visible, strict=True)):
            if shown[time]:
                heads.disk(frame, path[time], inks[row], row)
    return result.to(frames.device)


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


def _enlarge(frames: Tensor, scale: int) -> Tensor:
    """Frames [T, H, W, 3] as float32 on the CPU, each side `scale` times as long."""
    frames = frames.detach().cpu().float()
    if scale == 1:
        return frames.clamp(0, 1).contiguous()
    large = F.interpolate(frames.movedim(-1, 1), scale_factor=scale, mode="bicubic")
    return large.clamp(0, 1).movedim(1, -1).contiguous()


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
