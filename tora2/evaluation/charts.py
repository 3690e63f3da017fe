"""Charts of what was measured, as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import plotting

_INCHES, _DOTS = (7.0, 3.5), 110
_NAMED = 12


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        label: beside it.
        y: its values; NaN where there is none.
        x: where they are; 0, 1, 2, … by default.
        color: `#rrggbb`; the next free one by default.
    """

    label: str
    y: Sequence[float]
    x: Sequence[float] | None = None
    color: str | None = None


def check_plotting() -> None:
    """Refuse to begin what ends with a chart that could not be drawn; see `plotting`."""
    plotting.check_plotting("a chart needs", "measure")


def chart(
    lines: Sequence[Line],
    x: str,
    y: str,
    title: str,
    points: bool = False,
    top: float | None = None,
) -> Tensor:
    """Lines over one axis, which begins at 0, or below it where values are.

    Args:
        lines: to draw; up to twelve are named.
        x, y: what the axes are.
        title: above it.
        points: mark every value, and write it.
        top: of the y axis; what the values need by default.

    Returns:
        [H, W, 3] in [0, 1].

    Raises:
        ValueError: if matplotlib is not installed.
    """
    check_plotting()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(_INCHES, _DOTS)
    canvas = FigureCanvasAgg(figure)
    axis = figure.subplots()
    for line in lines:
        # A label that begins with an underscore would be left out, and $ begins a formula.
        axis.plot(
            range(len(line.y)) if line.x is None else line.x,
            line.y,
            color=line.color,
            linewidth=1.5,
            marker="o" if points else None,
            clip_on=False,  # a line at 0 lies on the axis
            label=" " + _plain(line.label),
        )
        for along, high in zip(
            line.x or range(len(line.y)), line.y if points else (), strict=False
        ):
            if math.isfinite(high):
                axis.annotate(
                    f"{high:.3g}",
                    (along, high),
                    (0, 7),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    values = [value for line in lines for value in line.y if math.isfinite(value)]
    if not values:
        axis.set_xlim(0, max([len(line.y) - 1 for line in lines] + [1]))
        axis.text(0.5, 0.5, "nothing was measured", transform=axis.transAxes, ha="center")
    # What is drawn on the very edge is not cut, so that all must be within.
    low, high = min(values, default=0.0), max(values, default=0.0)
    axis.set_ylim(min(1.1 * low, 0.0), top or (1.1 * high if high > 0 else 1.0))
    if all(line.x is None for line in lines):
        axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axis.grid(alpha=0.3)
    if 0 < len(lines) <= _NAMED and any(line.label for line in lines):
        axis.legend(fontsize=8)
    axis.set_title(_plain(title), fontsize=9)
    figure.tight_layout()
    canvas.draw()
    width, height = canvas.get_width_height()
    pixels = torch.frombuffer(bytearray(canvas.buffer_rgba()), dtype=torch.uint8)
    return pixels.view(height, width, 4)[..., :3].float() / 255


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
