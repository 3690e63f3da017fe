"""Measure a finished model as a YAML file says, and write what came out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tqdm import tqdm

from ..data.spritebind import SpriteBind, SpriteBindConfig
from ..data.spritebind.config import SpriteSize
from ..data.spritebind.dataset import check_split
from ..files import atomic_path, check_writable
from ..pipeline import Tora2Pipeline
from ..settings import Within, load
from .binding import evaluate_binding

Seed = Annotated[int, Within(0, 2**32 - 1)]


@dataclass(frozen=True)
class EvaluationConfig:
    """What to measure.

    Attributes:
        model: "tiny" or a folder.
        output: JSON file of the figures.
        splits: splits of SpriteBind.
        sprites, meeting, fastest: of SpriteBind's clips, those of the model's training.
        data_seed: seed of the clips; training used 0, so another one gives other clips of a split.
        seeds: seeds of the sampling noise.
        clips: clips of each split.
        steps, guidance, scheduler: of the sampling.
    """

    output: str
    model: str = "tiny"
    splits: tuple[str, ...] = ("heldout",)
    sprites: SpriteSize = "small"
    meeting: Annotated[float, Within(0, 1)] = 1.0
    fastest: Annotated[float, Within(0, 10)] = 0.0
    data_seed: Seed = 1
    seeds: tuple[Seed, ...] = (0, 1, 2)
    clips: Annotated[int, Within(1, 1_000_000)] = 256
    steps: Annotated[int, Within(1, 1000)] = 20
    guidance: Annotated[float, Within(0, 100)] = 1.0
    scheduler: Literal["dpm", "ddim"] = "dpm"

    def __post_init__(self) -> None:
        for split in self.splits:
            check_split(split)
        for name in ("splits", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"key {name!r} is empty; expected at least one")


def run_evaluation(path: Path | str) -> dict[str, Any]:
    """Measure, write the JSON file and return its content.

    Raises:
        ValueError: if the configuration is malformed or the model cannot be loaded.
        OSError: if the output cannot be written; its folder is looked at before the work.
    """
    config = load(EvaluationConfig, path)
    check_writable(config.output)
    pipeline = Tora2Pipeline.from_pretrained(config.model)
    data = SpriteBindConfig(
        size=pipeline.info.width,
        frames=pipeline.info.frames,
        sigma=pipeline.info.sigma,
        sprites=config.sprites,
        meeting=config.meeting,
        fastest=config.fastest,
    )
    figures: dict[str, Any] = {"settings": vars(config)}
    for split in config.splits:
        with tqdm(total=config.clips, desc=split, unit="clip") as bar:
            report = evaluate_binding(
                pipeline,
                SpriteBind(data, config.data_seed, split),
                config.clips,
                config.seeds,
                config.steps,
                config.guidance,
                scheduler=config.scheduler,
                progress=lambda done, total, bar=bar: bar.update(done - bar.n),  # type: ignore[misc]
            )
        figures[split] = report.to_dict()
    with atomic_path(config.output) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures
