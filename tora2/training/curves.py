"""Loss and accuracy curves of a run as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import plotting
from ..files import atomic_path

PANELS = (
    ("velocity", "velocity loss"),
    ("contrastive", "contrastive loss"),
    ("matching", "matching accuracy within a clip"),
    ("bind_accuracy", "bind accuracy, held out"),
)


def check_plotting() -> None:
    """Refuse to begin a run whose curves could not be drawn; see `plotting.check_plotting`."""
    plotting.check_plotting("curves need", "train")


def plot_curves(
    rows: Sequence[Mapping[str, float]],
    picture: Path,
    panels: Sequence[tuple[str, str]] = PANELS,
) -> None:
    """Draw a run's log as a PNG: what was measured, and its mean over some tenth of the run.

    A measure that the run does not have is left out.

    Args:
        rows: measures of steps, each with its `step`.
        picture: the file to write.
        panels: measures and their titles.

    Raises:
        ValueError: if matplotlib is not installed.
        OSError: if the file cannot be written.
    """
    check_plotting()
    from matplotlib import pyplot

    curves = {key: [(row["step"], row[key]) for row in rows if key in row] for key, _ in panels}
    shown = [panel for panel in panels if curves[panel[0]]] or panels
    figure, axes = pyplot.subplots(1, len(shown), figsize=(4 * len(shown), 3), squeeze=False)
    for axis, (key, title) in zip(axes[0], shown, strict=True):
        points = curves[key]
        if points:
            axis.plot(*zip(*points, strict=True), linewidth=1, alpha=0.4, color="C0")
            axis.plot(*zip(*_smooth(points), strict=True), linewidth=1.8, color="C0")
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, dpi=110)
    pyplot.close(figure)


def _smooth(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The mean of each point and those within a twentieth of their number on either side."""
    reach = len(points) // 20
    smooth = []
    for index, (step, _) in enumerate(points):
        near = [value for _, value in points[max(index - reach, 0) : index + reach + 1]]
        smooth.append((step, sum(near) / len(near)))
    return smooth
