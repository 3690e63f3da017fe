"""The paper's ablations in miniature: one model an arm and seed, one Markdown table."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..files import atomic_path
from ..pipeline import Tora2Pipeline
from .config import TrainConfig, load_config, read, read_yaml
from .evaluate import BindingReport, evaluate_binding
from .run import train
from .spritebind import SpriteBind

log = logging.getLogger(__name__)

Row = tuple[str, int, dict[str, BindingReport]]


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
    seeds: tuple[int, ...] = (0,)
    splits: tuple[str, ...] = ("heldout", "hard")
    clips: int = 64
    steps: int = 20


def run_ablation(path: Path | str) -> Path:
    """Train and measure every arm, and write `table.md` in the output folder after each.

    An arm that was finished earlier is measured without training it again.

    Returns:
        The path of the table.
    """
    path = Path(path)
    config = read(AblationConfig, read_yaml(path), "")
    base = _changed(load_config(path.parent / config.base), config.changes)
    table = Path(config.output) / "table.md"
    rows: list[Row] = []
    for name, changes in config.arms.items():
        for seed in config.seeds:
            arm = _changed(base, changes or {})
            output = str(Path(config.output) / f"{name}-{seed}")
            log.info("arm %s, seed %d", name, seed)
            model = train(replace(arm, output=output, seed=seed))
            rows.append((name, seed, _measure(config, arm, model)))
            with atomic_path(table) as temporary:
                temporary.write_text(_table(config, base, rows), encoding="utf-8")
    return table


def _changed(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """A configuration with some keys changed; nested mappings change nested fields."""
    values = dict(vars(config))
    for key, value in changes.items():
        if isinstance(value, Mapping) and key in values:
            current = values[key]
            inner = current if isinstance(current, dict) else vars(current)
            value = {**inner, **value}
        values[key] = value
    return read(TrainConfig, values, "")


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
        f"{base.transformer.layers} blocks of width {base.transformer.heads * 64}, "
        f"{base.data.size}x{base.data.size}, {base.data.frames} frames; measured on {config.clips} "
        f"clips a split with {config.steps} denoising steps and all conditions given."
    )
    return "\n".join([*lines, "", budget, ""])


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
