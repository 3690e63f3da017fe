"""The paper's ablations in miniature: one model an arm and seed, one Markdown table."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from ..data.spritebind import SpriteBind
from ..data.spritebind.dataset import check_split
from ..evaluation.binding import BindingReport, evaluate_binding
from ..fields import show
from ..files import atomic_path
from ..pipeline import Tora2Pipeline
from ..settings import Within, changed, load
from .curves import check_plotting
from .folder import held
from .recipes.tiny import TrainConfig, check, load_config, train

log = logging.getLogger(__name__)

Row = tuple[str, int, dict[str, BindingReport]]
_NAME = 100


@dataclass(frozen=True)
class AblationConfig:
    """Arms that differ from one base configuration.

    Attributes:
        base: YAML training configuration, relative to this file.
        output: folder for the runs and the table.
        arms: for each arm the keys of the base that it changes.
        changes: what all arms change of the base.
        seeds: training seeds.
        clips: clips of each split that are measured; `steps` denoising steps.
    """

    base: str
    output: str
    arms: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[Annotated[int, Within(0, 2**32 - 1)], ...] = (0,)
    splits: tuple[str, ...] = ("heldout", "hard")
    clips: Annotated[int, Within(1, 1_000_000)] = 64
    steps: Annotated[int, Within(1, 1000)] = 20

    def __post_init__(self) -> None:
        for split in self.splits:
            check_split(split)
        for name in ("arms", "seeds", "splits"):
            if not getattr(self, name):
                raise ValueError(f"key {name!r} is empty; expected at least one")
        for name in self.arms:
            plain = 0 < len(name) <= _NAME and name.isprintable() and name == Path(name).name
            if not plain or "\\" in name:
                raise ValueError(f"the arm {show(name)} is no name of a folder, expected one")

    def trainings(self, base: TrainConfig) -> dict[str, TrainConfig]:
        """The training of every arm, of the base with the changes of all.

        Raises:
            ValueError: names the arm and the key that cannot be changed so.
        """
        result = {}
        for name, changes in self.arms.items():
            try:
                result[name] = changed(base, changes or {})
                check(result[name])
            except ValueError as error:
                raise ValueError(f"arm {show(name)}: {error}") from None
        return result


def run_ablation(path: Path | str) -> Path:
    """Train and measure every arm, and write `table.md` in the output folder after each.

    An arm that was finished earlier is measured without training it again.

    Returns:
        The path of the table.

    Raises:
        ValueError: if the configuration or an arm is malformed, before anything is trained.
        OSError: if something cannot be written.
    """
    path = Path(path)
    config = load(AblationConfig, path)
    base = changed(load_config(path.parent / config.base), config.changes)
    arms = config.trainings(base)
    check_plotting()
    rows: list[Row] = []
    with held(config.output) as output:
        table = output / "table.md"
        for name, arm in arms.items():
            for seed in config.seeds:
                log.info("arm %s, seed %d", name, seed)
                model = train(replace(arm, output=str(output / f"{name}-{seed}"), seed=seed))
                rows.append((name, seed, _measure(config, arm, model)))
                with atomic_path(table) as temporary:
                    temporary.write_text(_table(config, base, rows), encoding="utf-8")
    return table


def _measure(config: AblationConfig, arm: TrainConfig, model: Path) -> dict[str, BindingReport]:
    pipeline = Tora2Pipeline.from_pretrained(model)
    return {
        split: evaluate_binding(
            pipeline, SpriteBind(arm.data, 0, split), config.clips, steps=config.steps
        )
        for split in config.splits
    }


def _table(config: AblationConfig, base: TrainConfig, rows: list[Row]) -> str:
    heads = [f"{split}: {m}" for split in config.splits for m in ("bind acc.", "TrajError px")]
    lines = [
        f"| arm | seed | {' | '.join(heads)} |",
        "|---|---|" + "---|" * len(heads),
    ]
    for name, seed, reports in rows:
        cells = []
        for split in config.splits:
            report = reports[split]
            cells += [_number(report.bind_accuracy, 3), _number(report.trajectory_error, 2)]
        lines.append(f"| {name} | {seed} | {' | '.join(cells)} |")
    o = base.optimization
    budget = (
        f"Budget: {o.steps} steps of {o.batch} clips an arm, pool of {base.pool} clips, "
        f"{base.transformer.layers} blocks of width {base.transformer.dim}, "
        f"{base.data.size}x{base.data.size}, {base.data.frames} frames; measured on {config.clips} "
        f"clips a split with {config.steps} denoising steps and all conditions given."
    )
    return "\n".join([*lines, "", budget, ""])


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
