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
    """Draw a run's log as a PNG.

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

    figure, axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 3))
    for axis, (key, title) in zip(axes, panels, strict=True):
        points = [(row["step"], row[key]) for row in rows if key in row]
        if points:
            axis.plot(*zip(*points, strict=True), linewidth=1)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, dpi=110)
    pyplot.close(figure)
