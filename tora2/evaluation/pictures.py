"""What was measured, to look at: paths on frames of the video, and the error over time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..files import atomic_path
from ..overlay import Painter, contact_sheet
from ..video import as_uint8
from .charts import Line, chart
from .measuring import PathError, TrajectoryReport

_LEGIBLE = 360
_SHOWN = 4


def check_png(path: str | os.PathLike[str]) -> None:
    """Refuse another name than one that ends in .png.

    Raises:
        ValueError: names the path.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"the picture is {os.fspath(path)!r}, expected a name that ends in .png")


def paths_picture(
    frames: Tensor, report: TrajectoryReport, colors: Sequence[str], labels: Sequence[str]
) -> Tensor:
    """Up to four frames, the first and the last among them, with both kinds of paths on them.

    Args:
        frames: uint8 [T, H, W, 3], those that were measured.
        report: of them.
        colors, labels: one a track.

    Returns:
        [H', W', 3] float in [0, 1].
    """
    count, height, width, _ = frames.shape
    scale = max(1, -(-_LEGIBLE // min(height, width)))
    size = (height * scale, width * scale)
    painter = Painter(size, report.requested, colors, measured=report.measured, labels=labels)
    shown = min(_SHOWN, count)
    times = torch.linspace(0, count - 1, shown).round().long().tolist()
    drawn = []
    for time in range(count):
        if time not in times:
            painter.draw(time)
            continue
        frame = F.interpolate(frames[time].movedim(-1, 0)[None].float() / 255, size, mode="bicubic")
        drawn.append(frame[0].clamp(0, 1).movedim(0, -1).contiguous())
        painter.draw(time, drawn[-1])
    columns = 1 if shown == 1 else 2
    return contact_sheet(torch.stack(drawn), columns, -(-shown // columns))


def save_picture(picture: Tensor, path: str | os.PathLike[str]) -> None:
    """Write [H, W, 3] in [0, 1] as a PNG.

    Raises:
        OSError: if it cannot be written.
    """
    with atomic_path(path) as temporary:
        Image.fromarray(as_uint8(picture).numpy()).save(temporary, "PNG")


def error_chart(
    report: TrajectoryReport, colors: Sequence[str], labels: Mapping[str, str]
) -> Tensor:
    """|dx| + |dy| of every track over the frames.

    Args:
        report: what was measured.
        colors: one a track.
        labels: by track, in the document's order.

    Returns:
        [H, W, 3] in [0, 1].

    Raises:
        ValueError: if matplotlib is not installed.
    """
    distance = (report.measured - report.requested.points).abs().sum(-1)
    distance = distance.where(report.counted, torch.nan)
    lines = [
        Line(f"{label}, {_mean(report.tracks[name])}", row, color=color)
        for row, color, (name, label) in zip(distance.tolist(), colors, labels.items(), strict=True)
    ]
    height, width = report.resolution
    title = f"TrajError, {report.tracker} at {width}x{height}"
    # Errors of hundredths, of what goes right all along, are not to look large.
    top = None if bool((distance > 1 / 1.1).any()) else 1.0
    return chart(lines, "frame", "|dx| + |dy|, pixels", title, top=top)


def _mean(found: PathError) -> str:
    error = found.trajectory_error
    return "not measured" if error is None else f"mean {error:.2f}"
