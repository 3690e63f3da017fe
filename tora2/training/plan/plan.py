"""The plan of a run: what it costs on given GPUs, whether it fits, and what would make it fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..recipes import recipe_of
from ..recipes.adapter.config import AdapterTraining
from ..recipes.adapter.config import load_config as load_adapter
from ..recipes.customize.config import Customization
from ..recipes.customize.config import load_config as load_customization
from ..recipes.tiny.config import TrainConfig
from ..recipes.tiny.config import load_config as load_tiny
from ..recipes.tiny.source import training_clips
from .advice import Advice, Case, advise
from .cards import Cards
from .customizing import Customizing
from .measure import clip_bytes, clips_in, sizes_of, tiny_stage
from .stages import StagePlan, adapter_stages, on_cards


@dataclass(frozen=True)
class Plan:
    """What a run costs.

    Attributes:
        config: its file; `notes` what had to be assumed.
        cards: what it runs on.
        stages: one after the other.
        advice: changes, where it does not fit; the last may be several together.
        clip: bytes of a clip's tensors on disk, by kind; `clips` how many clips.
    """

    config: str
    notes: tuple[str, ...]
    cards: Cards
    stages: tuple[StagePlan, ...]
    advice: tuple[Advice, ...]
    clip: dict[str, int]
    clips: int

    @property
    def worst(self) -> StagePlan:
        """The stage that needs the most memory."""
        return max(self.stages, key=lambda stage: stage.memory.peak)

    @property
    def fits(self) -> bool:
        """Whether all stages do."""
        return self.worst.memory.peak <= self.cards.usable

    @property
    def hours(self) -> float:
        """Of all stages."""
        return sum(stage.hours for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "config": self.config,
            "notes": list(self.notes),
            "gpus": vars(self.cards),
            "stages": [_stage_dict(stage) for stage in self.stages],
            "fits": self.fits,
            "bytes": self.worst.memory.peak,
            "usable_bytes": self.cards.usable,
            "hours": self.hours,
            "advice": [vars(one) for one in self.advice],
            "disk": {"clips": self.clips, "bytes_a_clip": self.clip},
        }


def _stage_dict(stage: StagePlan) -> dict[str, Any]:
    measured = stage.measured
    return {
        "name": measured.name,
        "steps": measured.steps,
        "parameters": {
            name: {"frozen": frozen, "trained": trained}
            for name, (frozen, trained) in measured.weights.parts.items()
        },
        "clips_a_batch": measured.clips,
        "operations_a_batch": measured.operations,
        "operations_a_step": stage.operations,
        "memory": stage.memory.moments,
        "worst_moment": stage.memory.worst,
        "bytes": stage.memory.peak,
        "hours": stage.hours,
    }


def run(path: Path | str, cards: Cards, clips: int | None = None) -> Plan:
    """Plan the run of a configuration. Weights are not loaded.

    Args:
        path: a YAML training configuration.
        cards: what it is to run on.
        clips: of the set, for the disk; by default those that are there, or 10 000.

    Raises:
        ValueError: if the configuration is malformed, or its batches cannot be shared out.
        OSError: if a file cannot be read.
    """
    if recipe_of(path) == "tiny":
        return plan_tiny(load_tiny(path), cards, str(path))
    return plan_adapter(load_adapter(path), cards, clips, str(path))


def run_customization(path: Path | str, cards: Cards) -> Plan:
    """Plan the run of a configuration of `customize`; see `run`."""
    return plan_customization(load_customization(path), cards, str(path))


def plan_customization(config: Customization, cards: Cards, path: str = "") -> Plan:
    """Plan a customization, which is one process's; what it encodes is held, not stored.

    Raises:
        ValueError: if there are several GPUs, or a file is damaged.
    """
    if cards.count > 1:
        raise ValueError(f"customize trains in one process, expected no {cards.count} GPUs")
    costs = Customizing(config)
    many = config.optimization.accumulate
    stages = tuple(on_cards(stage, cards, config.recompute, many) for stage in costs.stages())
    return Plan(path, costs.notes, cards, stages, (), {}, 0)


def plan_tiny(config: TrainConfig, cards: Cards, path: str = "") -> Plan:
    """Plan the bundled model's run, which is one process's.

    Raises:
        ValueError: if there are several GPUs, or shards that cannot be read.
    """
    if cards.count > 1:
        raise ValueError(f"this recipe trains in one process, expected no {cards.count} GPUs")
    _, clips = training_clips(config)
    stage = tiny_stage(config)
    held = {"encoded clips": stage.peaks.clips // stage.clips}
    stages = (on_cards(stage, cards, True, config.optimization.accumulate),)
    return Plan(path, (), cards, stages, (), held, clips)


def plan_adapter(
    config: AdapterTraining, cards: Cards, clips: int | None = None, path: str = ""
) -> Plan:
    """Plan an adapter's run; see `run`."""
    sizes, notes = sizes_of(config)
    if clips is None:
        clips = clips_in(config.clips)
    if clips is None:
        clips = 10_000
    stages = adapter_stages(config, sizes, cards)
    plan = Plan(path, tuple(notes), cards, stages, (), clip_bytes(sizes.cache), clips)
    if plan.fits:
        return plan
    return replace(plan, advice=tuple(advise(Case(config, sizes, cards))))
