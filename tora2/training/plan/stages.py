"""Stages of a run on given GPUs."""

from __future__ import annotations

from dataclasses import dataclass

from ..recipes.adapter.config import AdapterTraining
from .cards import SECONDS, Cards
from .loops import Sizes
from .measure import Adapter, Measured
from .memory import Memory, memory


@dataclass(frozen=True)
class StagePlan:
    """One stage of a run.

    Attributes:
        measured: what it costs on a process.
        memory: on each GPU.
        operations: of a step on each GPU.
        hours: of all its steps.
    """

    measured: Measured
    memory: Memory
    operations: int
    hours: float


def adapter_stages(config: AdapterTraining, sizes: Sizes, cards: Cards) -> tuple[StagePlan, ...]:
    """The stages of an adapter's run on some GPUs."""
    many = config.optimization.accumulate
    return tuple(
        on_cards(stage, cards, config.base.recompute, many)
        for stage in Adapter(config, sizes, cards.count).stages()
    )


def on_cards(stage: Measured, cards: Cards, recompute: bool, accumulate: int) -> StagePlan:
    """What a stage costs on some GPUs.

    Args:
        stage: on a process.
        cards: what it runs on.
        recompute: whether blocks are computed again in the backward pass.
        accumulate: batches of a step.
    """
    operations = sum(stage.operations.values()) * accumulate
    held = memory(stage.weights, stage.peaks, cards.count, recompute, accumulate)
    hours = cards.seconds(operations) * stage.steps / SECONDS
    return StagePlan(stage, held, operations, hours)
