"""A step of a loop, counted: its operations, and the bytes that are alive at its worst moments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..counting import (
    ACTIVATIONS,
    BACKWARD,
    COPIES,
    FORWARD,
    GRADIENTS,
    RECOMPUTATION,
    Meter,
)
from ..loop import Loop

LATE = f"{BACKWARD}, second half"
UPDATE = "update"
KINDS = (ACTIVATIONS, GRADIENTS, COPIES)
MOMENTS = (FORWARD, BACKWARD, LATE, UPDATE)
OPERATIONS = (FORWARD, RECOMPUTATION, BACKWARD)


@dataclass(frozen=True)
class StepCount:
    """What one batch of one process costs, and the step that it is part of.

    Attributes:
        operations: of a batch, by `FORWARD`, `RECOMPUTATION` and `BACKWARD`.
        moments: bytes by kind at the peak of each of `MOMENTS`, beyond what stays between steps.
    """

    operations: dict[str, int]
    moments: dict[str, dict[str, int]]

    def at(self, other: StepCount, here: int, there: int, wanted: int) -> StepCount:
        """The count at `wanted` blocks, this one being of `here` and the other of `there`.

        Every moment's bytes and all operations are linear in the number of blocks.
        """

        def line(a: int, b: int) -> int:
            return a + (b - a) * (wanted - here) // (there - here)

        def lines(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
            return {name: line(a.get(name, 0), b.get(name, 0)) for name in a.keys() | b.keys()}

        moments = {name: lines(self.moments[name], other.moments[name]) for name in self.moments}
        return StepCount(lines(self.operations, other.operations), moments)

    @property
    def total(self) -> int:
        """All operations of a batch."""
        return sum(self.operations.values())


def count_step(loop: Loop, whole: bool = False) -> StepCount:
    """Count a step of a loop that has made steps before, on real tensors or on shapes.

    Args:
        loop: makes the step.
        whole: make all batches of a step that has several. Otherwise one is made, the last,
            beside zeros in place of the gradients that those before it leave.
    """
    settings = loop.settings
    later = settings.accumulate > 1 and not whole
    if later:
        loop.settings = replace(settings, accumulate=1)
    loop.optimizer.prepare({f"step/{name}" for name in loop.trained})
    loop.optimizer.zero_grad()
    meter = Meter(loop.parts.parameters())
    call = loop._call
    objective = call.objective
    trained = loop.trained.values()
    half = _Half(meter, list(trained))

    def counted(batch: Any, generator: torch.Generator) -> Any:
        meter.phase = FORWARD
        if later:
            for parameter in trained:
                parameter.grad = torch.zeros_like(parameter)
                meter.is_gradient(parameter.grad)
        half.begin()
        result = objective(batch, generator)
        meter.phase = BACKWARD
        return result

    def update(step: int) -> float:
        meter.phase = UPDATE
        return move(step)

    move = loop.optimizer.step
    call.objective = counted
    loop.optimizer.step = update  # type: ignore[method-assign]
    try:
        with meter:
            loop.train_step()
    finally:
        half.end()
        call.objective = objective
        del loop.optimizer.step
        loop.settings = settings
    loop.optimizer.zero_grad()
    many = 1 if later else settings.accumulate
    operations = {name: meter.operations[name] // many for name in (FORWARD, RECOMPUTATION)}
    backward = sum(n for name, n in meter.operations.items() if name in (BACKWARD, LATE))
    operations[BACKWARD] = backward // many
    return StepCount(operations, {name: _at(meter, name) for name in MOMENTS})


def _at(meter: Meter, name: str) -> dict[str, int]:
    moment = meter.moments.get(name)
    return {kind: 0 if moment is None else moment.bytes.get(kind, 0) for kind in KINDS}


class _Half:
    """Tells gradients from activations, and when half of them are there.

    Where memory peaks in the backward pass depends on what is larger, a block's activations or its
    gradients; each half's peak grows linearly with the blocks.
    """

    def __init__(self, meter: Meter, parameters: list[nn.Parameter]) -> None:
        self._meter = meter
        self._whole = sum(parameter.numel() for parameter in parameters)
        self._seen = 0
        self._hooks = [p.register_post_accumulate_grad_hook(self._arrived) for p in parameters]

    def begin(self) -> None:
        """Another batch begins."""
        self._seen = 0

    def end(self) -> None:
        """Leave the parameters as they were."""
        for hook in self._hooks:
            hook.remove()

    def _arrived(self, parameter: Tensor) -> None:
        if parameter.grad is None:  # let go of by the recipe
            return
        self._meter.is_gradient(parameter.grad)
        self._seen += parameter.numel()
        if 2 * self._seen > self._whole:
            self._meter.phase = LATE


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of some tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
