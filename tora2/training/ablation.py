"""The paper's ablations in miniature: one model an arm and seed, one Markdown table."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from ..checkpoints.module_folder import read_json, write_json
from ..data.spritebind import SpriteBind
from ..data.spritebind.dataset import check_split
from ..evaluation.binding import BindingReport, evaluate_binding
from ..fields import show
from ..files import atomic_path
from ..pipeline import Tora2Pipeline
from ..settings import Within, changed, load
from .curves import check_plotting
from .folder import held, run_folder
from .recipes.tiny import TrainConfig, check, draw_pool, load_config, train

log = logging.getLogger(__name__)

Reports = dict[str, BindingReport]
Row = tuple[str, int, Reports]
MEASURED = "measured.json"
_NAME = 100
_COLUMNS = (
    ("bind_accuracy", "bind acc.", 3),
    ("trajectory_error", "TrajError px", 2),
    ("shape_accuracy", "shape", 3),
    ("texture_accuracy", "texture", 3),
)


@dataclass(frozen=True)
class AblationConfig:
    """Arms that differ from one base configuration.

    Attributes:
        base: YAML training configuration, relative to this file.
        output: folder for the runs and the table.
        arms: for each arm the keys of the base that it changes.
        tables: arms to set side by side, by the name of a table of the paper; all in one if none.
        changes: what all arms change of the base.
        seeds: training seeds.
        clips: clips of each split that are measured.
        steps, scheduler: of the sampling.
        at_once: arms that are trained side by side, each in a process with its share of the cores.
    """

    base: str
    output: str
    arms: dict[str, Any]
    tables: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[Annotated[int, Within(0, 2**32 - 1)], ...] = (0,)
    splits: tuple[str, ...] = ("heldout", "hard")
    clips: Annotated[int, Within(1, 1_000_000)] = 64
    steps: Annotated[int, Within(1, 1000)] = 20
    scheduler: Literal["dpm", "ddim"] = "dpm"
    at_once: Annotated[int, Within(1, 1024)] = 1

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

        for table, names in self.tables.items():
            if not isinstance(names, list) or not all(name in self.arms for name in names):
                raise ValueError(f"table {show(table)} is {show(names)}, expected a list of arms")

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
    """Train and measure every arm, and write `table.md` and `figure.png` in the output folder.

    Both are written after each arm; an arm that was finished or measured earlier is taken as it is.

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
    with held(config.output) as output:
        table = output / "table.md"
        names = [(name, seed) for name in arms for seed in config.seeds]
        runs = [
            replace(arms[name], output=str(output / f"{name}-{seed}"), seed=seed)
            for name, seed in names
        ]
        known: dict[int, Reports] = {}
        for index, reports in _all_measured(config, runs):
            log.info("arm %s, seed %d: measured", *names[index])
            known[index] = reports
            rows = [(*names[i], known[i]) for i in sorted(known)]
            with atomic_path(table) as temporary:
                temporary.write_text(_page(config, base, rows), encoding="utf-8")
            _draw(config, rows, output / "figure.png")
    return table


def _all_measured(
    config: AblationConfig, runs: Sequence[TrainConfig]
) -> Iterator[tuple[int, Reports]]:
    """The reports of every run with its index, as they come."""
    if config.at_once == 1:
        yield from ((index, _measured(config, run)) for index, run in enumerate(runs))
        return
    draw_pool(runs[0])
    threads = max(1, (os.cpu_count() or 1) // config.at_once)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(config.at_once, spawn, torch.set_num_threads, (threads,)) as pool:
        indices = {pool.submit(_measured, config, run): i for i, run in enumerate(runs)}
        try:
            for future in as_completed(indices):
                yield indices[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # a training leaves a checkpoint first
            raise


def _measured(config: AblationConfig, arm: TrainConfig) -> Reports:
    """The reports of an arm by split: as they were written earlier, or trained and measured now."""
    settings = {
        "clips": config.clips,
        "steps": config.steps,
        "scheduler": config.scheduler,
        "splits": list(config.splits),
    }
    kept = Path(arm.output) / MEASURED
    with run_folder(arm.output, asdict(arm)):  # refuses the figures of another configuration
        known = read_json(kept) if kept.exists() else {}
    if known.get("settings") == settings:
        return {split: BindingReport(**known["reports"][split]) for split in config.splits}
    pipeline = Tora2Pipeline.from_pretrained(train(arm))
    reports = {
        split: evaluate_binding(
            pipeline,
            SpriteBind(arm.data, 0, split),
            config.clips,
            steps=config.steps,
            scheduler=config.scheduler,
        )
        for split in config.splits
    }
    content = {split: report.to_dict() for split, report in reports.items()}
    write_json(kept, {"settings": settings, "reports": content})
    return reports


def _page(config: AblationConfig, base: TrainConfig, rows: Sequence[Row]) -> str:
    tables = config.tables or {"": list(config.arms)}
    lines: list[str] = []
    for title, names in tables.items():
        lines += [f"**{title}**", ""] if title else []
        lines += [*_table(config, [row for row in rows if row[0] in names]), ""]
    o = base.optimization
    trained = "the adapter alone" if base.backbone_from else "all parts"
    budget = (
        f"Budget: {o.steps} steps of {o.batch} clips an arm for {trained}, pool of {base.pool} "
        f"clips, {base.transformer.layers} blocks of width {base.transformer.dim}, "
        f"{base.data.size}x{base.data.size}, {base.data.frames} frames; measured on {config.clips} "
        f"clips a split with {config.steps} steps of {config.scheduler} and all conditions given. "
        "± is the standard error over videos."
    )
    return "\n".join([*lines, budget, ""])


def _table(config: AblationConfig, rows: Sequence[Row]) -> list[str]:
    heads = [f"{split}: {title}" for split in config.splits for _, title, _ in _COLUMNS]
    lines = [f"| arm | seed | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    for name, seed, reports in rows:
        cells = [
            _number(getattr(reports[split], key), reports[split].standard_errors[key], digits)
            for split in config.splits
            for key, _, digits in _COLUMNS
        ]
        lines.append(f"| {name} | {seed} | {' | '.join(cells)} |")
    return lines


def _number(value: float, error: float, digits: int) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _draw(config: AblationConfig, rows: Sequence[Row], picture: Path) -> None:
    """Every arm and seed as a bar with its standard error: a row of panels a split."""
    from matplotlib import pyplot

    size = (4 * len(_COLUMNS), (0.3 * len(rows) + 1) * len(config.splits))
    figure, axes = pyplot.subplots(
        len(config.splits), len(_COLUMNS), figsize=size, sharex="col", sharey=True, squeeze=False
    )
    labels = [f"{name}, {seed}" for name, seed, _ in rows]
    for line, split in zip(axes, config.splits, strict=True):
        for axis, (key, title, _) in zip(line, _COLUMNS, strict=True):
            values = [getattr(reports[split], key) for _, _, reports in rows]
            errors = [reports[split].standard_errors[key] for _, _, reports in rows]
            axis.barh(range(len(rows)), values, xerr=errors, height=0.7)
            axis.set_yticks(range(len(rows)), labels, fontsize=7)
            axis.set_title(f"{split}: {title}", fontsize=9)
            axis.grid(alpha=0.3, axis="x")
    axes[0][0].invert_yaxis()  # of all, as they share it
    figure.tight_layout()
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    pyplot.close(figure)
