"""Paths drawn onto a video: where every entity was asked to go, and where it was seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageColor, ImageDraw, ImageFont
from torch import Tensor

from .trajectory import Tracks, TrajectoryDocument
from .trajectory.document import PALETTE

Color = str | Sequence[float]
Ink = tuple[int, int, int, int]
Array = npt.NDArray[np.float64]

_WHITE: Ink = (255, 255, 255, 255)
_DARK: Ink = (20, 20, 20, 255)
_SUPERSAMPLING = 3


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
    large = _enlarge(frames, scale)
    height, width = large.shape[1:3]
    factor = np.array([width / tracks.width, height / tracks.height])
    points = tracks.points.cpu().double().numpy() * factor  # [N, T, 2]
    seen = None if measured is None else measured.detach().cpu().double().numpy() * factor
    visible = tracks.visible.cpu().numpy()
    result = torch.empty_like(large)
    for time, frame in enumerate(large):
        pen = _Pen(height, width)
        for path, shown, ink in zip(points, visible, inks, strict=True):
            pen.requested(path, shown, time, ink)
        if seen is not None:
            for path, ink in zip(seen, inks, strict=True):
                pen.measured(path, time, ink)
        for path, shown, ink, label in zip(points, visible, inks, texts, strict=True):
            if shown[time]:
                pen.head(path[time], ink, label)
        result[time] = pen.over(frame)
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
        return frames.clamp(0, 1)
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


def _casing(ink: Ink) -> Ink:
    """White or dark, whichever stands off `ink`: one of the two then stands off any background."""
    luminance = 0.2126 * ink[0] + 0.7152 * ink[1] + 0.0722 * ink[2]
    return _DARK if luminance > 90 else _WHITE


class _Pen:
    """A transparent layer over one frame, drawn larger and reduced, for smooth edges.

    Positions are pixels of the frame as (x, y), 0 at its left and top edge; lengths are in units
    of 1/240 of its short side, so that the drawing looks alike at every size.
    """

    def __init__(self, height: int, width: int) -> None:
        size = (width * _SUPERSAMPLING, height * _SUPERSAMPLING)
        self.layer = Image.new("RGBA", size)
        self.draw = ImageDraw.Draw(self.layer)
        self.unit = _SUPERSAMPLING * max(min(height, width) / 240, 0.5)

    def requested(self, path: Array, shown: npt.NDArray[np.bool_], time: int, ink: Ink) -> None:
        """The visible part of a path [T, 2]: pale ahead of `time`, full behind it."""
        times = np.flatnonzero(shown)
        self._line(path[times[times >= time]], 1.4, (*ink[:3], 170))
        behind = path[times[times <= time]]
        self._line(behind, 3.4, _casing(ink))
        self._line(behind, 1.8, ink)

    def head(self, place: Array, ink: Ink, label: str) -> None:
        """The disk of an entity's path, and its name."""
        for radius, color in ((4.6, _DARK), (4.1, _WHITE), (3.1, ink)):
            self._disk(place, radius, color)
        if not label:
            return
        font = ImageFont.load_default(size=9 * self.unit)
        stroke = max(1, round(self.unit))
        left, top, right, bottom = self.draw.textbbox((0, 0), label, font, stroke_width=stroke)
        x, y = place * _SUPERSAMPLING + np.array([5.5, -5.5]) * self.unit
        x = min(max(x, -left), self.layer.width - right)
        y = min(max(y - bottom, -top), self.layer.height - bottom)
        self.draw.text((x, y), label, _WHITE, font, stroke_width=stroke, stroke_fill=_DARK)

    def measured(self, path: Array, time: int, ink: Ink) -> None:
        """A seen path [T, 2] up to `time`, NaN where unseen."""
        so_far = path[: time + 1]
        seen = np.isfinite(so_far.sum(axis=1))
        for run in np.split(np.arange(time + 1), np.flatnonzero(~seen)):
            for dash in _dashes(so_far[run[seen[run]]] * _SUPERSAMPLING, 4 * self.unit):
                self._line(dash / _SUPERSAMPLING, 2.8, _DARK)
                self._line(dash / _SUPERSAMPLING, 1.4, _WHITE)
        if seen[-1]:
            reach = 4 * self.unit / _SUPERSAMPLING
            for width, color in ((3.2, _DARK), (1.6, _WHITE)):
                for slope in (1, -1):
                    arm = np.array([reach, reach * slope])
                    self._line(np.stack([so_far[-1] - arm, so_far[-1] + arm]), width, color)

    def over(self, frame: Tensor) -> Tensor:
        """The layer over a frame [H, W, 3]."""
        layer = torch.from_numpy(np.array(self.layer.reduce(_SUPERSAMPLING))).float() / 255
        return frame + layer[..., 3:] * (layer[..., :3] - frame)

    def _line(self, path: Array, width: float, color: Ink) -> None:
        if len(path) < 2:
            return
        pixels = 2 * round((width * self.unit - 1) / 2) + 1  # odd, so that the line is centred
        corners = [(x, y) for x, y in np.floor(path * _SUPERSAMPLING).astype(int).tolist()]
        self.draw.line(corners, color, pixels, joint="curve")
        for end in (path[0], path[-1]):
            self._disk(end, pixels / 2 / self.unit, color)

    def _disk(self, place: Array, radius: float, color: Ink) -> None:
        centre, reach = place * _SUPERSAMPLING, radius * self.unit
        left, top = np.rint(centre - reach).astype(int).tolist()
        right, bottom = (np.rint(centre + reach).astype(int) - 1).tolist()
        self.draw.ellipse((left, top, max(left, right), max(top, bottom)), color)


def _dashes(path: Array, length: float) -> list[Array]:
    """Every second stretch of `length` of a path [n, 2]; each keeps the corners it runs through."""
    if len(path) < 2:
        return []
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    dashes = []
    for start in np.arange(0.0, place[-1], 2 * length):
        stops = np.array([start, min(start + length, place[-1])])
        inner = place[(place > stops[0]) & (place < stops[1])]
        at = np.concatenate([stops[:1], inner, stops[1:]])
        dashes.append(np.stack([np.interp(at, place, path[:, axis]) for axis in (0, 1)], axis=-1))
    return dashes
