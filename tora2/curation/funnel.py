"""What came in and out of every stage, why, and how long it took: JSON, a picture and a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import atomic_path
from .journal import Row

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_REASONS = 5
_KINDS = 1000


@dataclass
class Count:
    """Of one stage; parts of a candidate count as fractions until it is whole.

    Attributes:
        reasons: why candidates were dropped, numbers left out, and how many.
    """

    into: float = 0.0
    out: float = 0.0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)


class Funnel:
    """Counts rows as they come.

    Args:
        stages: of the run, in order.
    """

    def __init__(self, stages: Sequence[str]) -> None:
        self.counts = {name: Count() for name in stages}

    def add(self, row: Row) -> None:
        """Count a row."""
        for step in row.steps:
            count = self.counts[step.stage]
            count.into += step.into
            count.out += step.out
            count.seconds += step.seconds
        if row.dropped_by is not None:
            count = self.counts[row.dropped_by]
            if row.steps and not row.steps[-1].out == 0:  # it was lost after its last stage
                count.out -= 1
            reason = _NUMBER.sub("…", row.reason or "")
            if reason in count.reasons or len(count.reasons) < _KINDS:
                count.reasons[reason] += 1

    def to_dict(self) -> dict[str, dict[str, float]]:
        """`{stage: {"in", "out", "seconds"}}`, in the order of the stages."""
        return {
            name: {
                "in": round(count.into),
                "out": round(count.out),
                "seconds": round(count.seconds, 3),
            }
            for name, count in self.counts.items()
        }

    def table(self, left_out: Sequence[str]) -> list[str]:
        """Lines for people."""
        lines = [f"{'stage':<12}{'in':>9}{'out':>9}{'seconds':>10}  dropped for"]
        for name, values in self.to_dict().items():
            common = self.counts[name].reasons.most_common(1)
            why = f"{common[0][0]} ({common[0][1]})" if common else ""
            counts = f"{values['in']:>9}{values['out']:>9}{values['seconds']:>10.1f}"
            lines.append(f"{name:<12}{counts}  {why}".rstrip())
        if left_out:
            lines.append(f"left out: {', '.join(left_out)}")
        return lines


def write_picture(funnel: Funnel, path: Path) -> None:
    """Bars of what came in and out of each stage, and the seconds of each.

    Raises:
        OSError: if it cannot be written; ValueError: says how to install what draws it.
    """
    plotting: Any = pyplot()
    values = funnel.to_dict()
    figure, (counts, seconds) = plotting.subplots(
        1, 2, figsize=(10, 1.2 + 0.45 * len(values)), sharey=True, width_ratios=(3, 1)
    )
    names = list(values)
    for name in names:
        came, left = values[name]["in"], values[name]["out"]
        counts.barh(name, max(came, left), color="#d6dbe3", height=0.7)
        counts.barh(name, left, color="#2f6fb2", height=0.7)
        counts.annotate(
            f"{came} in, {left} out", (max(came, left), name), (4, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
        seconds.barh(name, values[name]["seconds"], color="#b0752c", height=0.7)
    counts.margins(x=0.25)
    counts.set_xlabel("candidates: videos until shots, then clips (grey: in, blue: out)")
    seconds.set_xlabel("seconds of workers")
    counts.invert_yaxis()
    for axes in (counts, seconds):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    plotting.close(figure)


def pyplot() -> Any:
    """Matplotlib without a screen.

    Raises:
        ValueError: says how to install it.
    """
    try:
        import matplotlib
    except ImportError:
        raise ValueError(
            "the picture of the funnel needs Matplotlib: pip install 'comfyui-tora2[curation]'"
        ) from None
    matplotlib.use("agg")
    import matplotlib.pyplot as module

    return module


def common_reasons(count: Count) -> list[tuple[str, int]]:
    """The most frequent reasons of a stage."""
    return count.reasons.most_common(_REASONS)
