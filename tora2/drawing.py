"""Ink on frames: what a path leaves behind, and what is at its head.

A frame differs from the one before by a few short strokes. So what has been drawn is kept, three
times as large as the frame for smooth edges, and only the parts that new strokes touch are reduced
and blended again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Ink = tuple[int, int, int, int]
Array = npt.NDArray[np.float64]
Size = tuple[int, int]
"""(height, width) in pixels."""
Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels of the frame, the last two exclusive."""

WHITE: Ink = (255, 255, 255, 255)
DARK: Ink = (20, 20, 20, 255)
_PALE = 170
_SUPERSAMPLING = 3


class Trails:
    """The lines of paths up to a frame: pale where they lead, full where they have been.

    Positions are pixels of the frame as (x, y), 0 at its left and top edge.

    Args:
        size: of the frame.
        points: [N, T, 2] requested positions.
        visible: [N, T] when they are there.
        inks: N colours.
        seen: [N, T, 2] measured positions, NaN where there is none.
    """

    def __init__(
        self,
        size: Size,
        points: Array,
        visible: npt.NDArray[np.bool_],
        inks: Sequence[Ink],
        seen: Array | None,
    ) -> None:
        self.paths = [
            (path[shown], np.flatnonzero(shown))
            for path, shown in zip(points, visible, strict=True)
        ]
        self.inks = inks
        self.seen = seen
        self.below = _Sheet(size)
        self.lines = _Sheet(size)
        self.dashes = _Sheet(size) if seen is not None else None
        self.ink = np.zeros((*size, 4), np.float32)  # premultiplied, in [0, 1]
        for (path, _), ink in zip(self.paths, inks, strict=True):
            self.below.line(path, 1.4, (*ink[:3], _PALE), whole=True)

    def proceed(self, time: int) -> None:
        """Draw what frame `time` adds; frames come in order."""
        for (path, times), ink in zip(self.paths, self.inks, strict=True):
            step = int(np.searchsorted(times, time))
            if step == len(times) or times[step] != time or step == 0:
                continue
            stroke = path[step - 1 : step + 1]
            self.below.line(stroke, 3.4, _casing(ink))
            self.lines.line(stroke, 1.8, ink)
        if self.seen is not None and self.dashes is not None:
            for track in self.seen:
                self._dash(self.dashes, track, time)
        sheets = [sheet for sheet in (self.below, self.lines, self.dashes) if sheet is not None]
        for box in {box for sheet in sheets for box in sheet.taken()}:
            left, top, right, bottom = box
            part = sheets[0].reduced(box)
            for sheet in sheets[1:]:
                upper = sheet.reduced(box)
                part = upper + (1 - upper[..., 3:]) * part
            self.ink[top:bottom, left:right] = part

    def over(self, frame: Tensor) -> None:
        """Lay the ink over a frame [H, W, 3], in place."""
        rows, columns = np.nonzero(self.ink[..., 3])
        _blend(frame, torch.from_numpy(rows), torch.from_numpy(columns), self.ink[rows, columns])

    def _dash(self, sheet: _Sheet, track: Array, time: int) -> None:
        """The dashes of a measured path that have grown since the frame before."""
        seen = np.isfinite(track[: time + 1].sum(axis=1))
        if time == 0 or not seen[-2:].all():
            return
        first = int(np.flatnonzero(~seen)[-1]) + 1 if not seen.all() else 0
        run = track[first : time + 1] * _SUPERSAMPLING
        grown = float(np.linalg.norm(run[-1] - run[-2]))
        for dash in _dashes(run, 4 * sheet.unit, grown):
            sheet.line(dash / _SUPERSAMPLING, 2.8, DARK)
            sheet.line(dash / _SUPERSAMPLING, 1.4, WHITE)


class Heads:
    """The marks at the current place of a path, drawn straight onto a frame [H, W, 3].

    Args:
        size: of the frames.
        texts: a label for every path, or an empty one.
    """

    def __init__(self, size: Size, texts: Sequence[str]) -> None:
        self.size = size
        self.unit = _unit(size)
        self.labels = [_label(text, self.unit) if text else None for text in texts]

    def disk(self, frame: Tensor, place: Array, ink: Ink, row: int) -> None:
        """The disk of a path, and its name."""
        sheet = self._stamp(place, 4.6)
        if sheet is not None:
            for radius, color in ((4.6, DARK), (4.1, WHITE), (3.1, ink)):
                sheet.disk(place, radius, color)
            _lay(frame, sheet)
        label = self.labels[row]
        if label is not None:
            self._write(frame, place, label)

    def cross(self, frame: Tensor, place: Array) -> None:
        """The cross at a measured position; none where it is NaN."""
        if not np.isfinite(place).all():
            return
        sheet = self._stamp(place, 6.0)
        if sheet is None:
            return
        reach = 4 * self.unit / _SUPERSAMPLING
        for width, color in ((3.2, DARK), (1.6, WHITE)):
            for slope in (1, -1):
                arm = np.array([reach, reach * slope])
                sheet.line(np.stack([place - arm, place + arm]), width, color)
        _lay(frame, sheet)

    def _stamp(self, place: Array, radius: float) -> _Sheet | None:
        reach = radius * self.unit / _SUPERSAMPLING + 1
        box = _clipped((place - reach, place + reach), self.size)
        return None if box is None else _Sheet(self.size, box)

    def _write(self, frame: Tensor, place: Array, label: Image.Image) -> None:
        """A label at the upper right of a place, pushed into the frame."""
        height, width = self.size
        x, y = place * _SUPERSAMPLING + np.array([5.5, -5.5]) * self.unit
        x = round(min(max(x, 0), width * _SUPERSAMPLING - label.width))
        y = round(min(max(y - label.height, 0), height * _SUPERSAMPLING - label.height))
        corner = np.array([x, y]) / _SUPERSAMPLING
        end = corner + np.array([label.width, label.height]) / _SUPERSAMPLING
        box = _clipped((corner, end), self.size)
        if box is None:
            return
        sheet = _Sheet(self.size, box)
        sheet.layer.paste(label, (x - box[0] * _SUPERSAMPLING, y - box[1] * _SUPERSAMPLING))
        _lay(frame, sheet)


class _Sheet:
    """A transparent layer over a part of a frame, drawn larger and reduced, for smooth edges.

    Its colours are premultiplied. Lengths are in units of 1/240 of the frame's short side, so that
    the drawing looks alike at every size.
    """

    def __init__(self, size: Size, box: Box | None = None) -> None:
        height, width = size
        self.size = size
        self.box = (0, 0, width, height) if box is None else box
        left, top, right, bottom = self.box
        self.corner = np.array([left, top]) * _SUPERSAMPLING
        shape = ((right - left) * _SUPERSAMPLING, (bottom - top) * _SUPERSAMPLING)
        self.layer = Image.new("RGBa", shape)
        self.draw = ImageDraw.Draw(self.layer)
        self.unit = _unit(size)
        self.touched: set[Box] = set()

    def line(self, path: Array, width: float, color: Ink, whole: bool = False) -> None:
        """A path [n, 2] with round joints and ends; `whole` is for one of many corners."""
        if len(path) < 2:
            return
        pixels = 2 * round((width * self.unit - 1) / 2) + 1  # odd, so that the line is centred
        inside = np.floor(path * _SUPERSAMPLING) - self.corner
        corners = [(x, y) for x, y in inside.astype(int).tolist()]
        joint = "curve" if len(path) > 2 else None
        self.draw.line(corners, _premultiplied(color), pixels, joint=joint)
        for end in (path[0], path[-1]):
            self.disk(end, pixels / 2 / self.unit, color)
        reach = pixels / _SUPERSAMPLING + 1
        for start, end in zip(path, path[1:], strict=False) if whole else [(path, path)]:
            corner = np.minimum(start, end) if whole else path.min(axis=0)
            opposite = np.maximum(start, end) if whole else path.max(axis=0)
            box = _clipped((corner - reach, opposite + reach), self.size)
            if box is not None:
                self.touched.add(box)

    def disk(self, place: Array, radius: float, color: Ink) -> None:
        centre, reach = place * _SUPERSAMPLING - self.corner, radius * self.unit
        left, top = np.rint(centre - reach).astype(int).tolist()
        right, bottom = (np.rint(centre + reach).astype(int) - 1).tolist()
        box = (left, top, max(left, right), max(top, bottom))
        self.draw.ellipse(box, _premultiplied(color))

    def taken(self) -> set[Box]:
        """Where it was drawn on since this was asked last."""
        touched, self.touched = self.touched, set()
        return touched

    def reduced(self, box: Box) -> npt.NDArray[np.float32]:
        """[h, w, 4] in [0, 1] of a part of the frame."""
        left, top, right, bottom = (value * _SUPERSAMPLING for value in box)
        part = self.layer.reduce(_SUPERSAMPLING, (left, top, right, bottom))
        return np.asarray(part, np.float32) / np.float32(255)


def _lay(frame: Tensor, sheet: _Sheet) -> None:
    """Blend a sheet over its part of a frame [H, W, 3], in place."""
    left, top, right, bottom = sheet.box
    ink = torch.from_numpy(sheet.reduced((0, 0, right - left, bottom - top)))
    part = frame[top:bottom, left:right]
    part.mul_(1 - ink[..., 3:]).add_(ink[..., :3]).clamp_(max=1)


def _blend(frame: Tensor, rows: Tensor, columns: Tensor, ink: npt.NDArray[np.float32]) -> None:
    colors = torch.from_numpy(ink)
    kept = frame[rows, columns] * (1 - colors[:, 3:])
    frame[rows, columns] = (kept + colors[:, :3]).clamp(max=1)


def _unit(size: Size) -> float:
    return _SUPERSAMPLING * max(min(size) / 240, 0.5)


def _clipped(corners: tuple[Array, Array], size: Size) -> Box | None:
    """Whole pixels around a rectangle, within the frame; None where it is outside."""
    height, width = size
    left, top = np.clip(np.floor(corners[0]), 0, (width, height)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners[1]), 0, (width, height)).astype(int).tolist()
    return None if left >= right or top >= bottom else (left, top, right, bottom)


def _premultiplied(color: Ink) -> Ink:
    red, green, blue, alpha = color
    return round(red * alpha / 255), round(green * alpha / 255), round(blue * alpha / 255), alpha


def _casing(ink: Ink) -> Ink:
    """White or dark, whichever stands off `ink`: one of the two then stands off any background."""
    luminance = 0.2126 * ink[0] + 0.7152 * ink[1] + 0.0722 * ink[2]
    return DARK if luminance > 90 else WHITE


def _label(text: str, unit: float) -> Image.Image:
    """A text with an outline, as large as it is."""
    font = ImageFont.load_default(size=9 * unit)
    stroke = max(1, round(unit))
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = measure.textbbox((0, 0), text, font, stroke_width=stroke)
    size = (max(1, round(right - left)), max(1, round(bottom - top)))
    image = Image.new("RGBa", size)
    ImageDraw.Draw(image).text(
        (-left, -top), text, WHITE, font, stroke_width=stroke, stroke_fill=DARK
    )
    return image


def _dashes(path: Array, length: float, grown: float) -> list[Array]:
    """Every second stretch of `length` of a path [n, 2] that its last `grown` reaches into.

    Each keeps the corners it runs through.
    """
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    dashes = []
    first = np.floor((place[-1] - grown) / (2 * length)) * 2 * length
    for start in np.arange(first, place[-1], 2 * length):
        stops = np.array([start, min(start + length, place[-1])])
        if stops[1] < place[-1] - grown:
            continue
        inner = place[(place > stops[0]) & (place < stops[1])]
        at = np.concatenate([stops[:1], inner, stops[1:]])
        dashes.append(np.stack([np.interp(at, place, path[:, axis]) for axis in (0, 1)], axis=-1))
    return dashes
