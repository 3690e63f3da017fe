"""Measure a finished model as a YAML file says, and write what came out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..files import atomic_path
from ..pipeline import Tora2Pipeline
from .config import read, read_yaml
from .evaluate import evaluate_binding
from .spritebind import SpriteBind, SpriteBindConfig


@dataclass(frozen=True)
class EvaluationConfig:
    """What to measure.

    Attributes:
        model: "tiny" or a folder.
        output: JSON file of the figures.
        splits: splits of SpriteBind.
        data_seed: seed of the clips; training used 0, so another one gives other clips of a split.
        seeds: seeds of the sampling noise.
        clips: clips of each split.
        steps, guidance: of the sampling.
    """

    output: str
    model: str = "tiny"
    splits: tuple[str, ...] = ("heldout",)
    data_seed: int = 1
    seeds: tuple[int, ...] = (0, 1, 2)
    clips: int = 256
    steps: int = 20
    guidance: float = 1.0


def run_evaluation(path: Path | str) -> dict[str, Any]:
    """Measure, write the JSON file and return its content."""
    config = read(EvaluationConfig, read_yaml(path), "")
    pipeline = Tora2Pipeline.from_pretrained(config.model)
    data = SpriteBindConfig(
        size=pipeline.info.width, frames=pipeline.info.frames, sigma=pipeline.info.sigma
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
                progress=lambda done, total, bar=bar: bar.update(done - bar.n),  # type: ignore[misc]
            )
        figures[split] = report.to_dict()
    with atomic_path(config.output) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures
