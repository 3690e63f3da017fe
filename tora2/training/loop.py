"""The training loop: parts, a source of batches and an objective in, trained parts out.

It knows nothing of what is trained. Everything random is a function of the seed and the step, so a
resumed run repeats the steps that an uninterrupted one would have made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..data.tensor_file import read_tensors, write_tensors
from .optimizer import Average, Optimization, Optimizer, copy_all

_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

Hook = Callable[[int, dict[str, float]], None]


class Source(Protocol):
    """Where batches come from."""

    def __call__(self, step: int, generator: torch.Generator) -> Any:
        """The batch of a step, a function of the step and the generator's state alone."""
        ...


class Objective(Protocol):
    """What is to become small."""

    def __call__(
        self, batch: Any, generator: torch.Generator
    ) -> tuple[Tensor, Mapping[str, float]]:
        """The loss of a batch, and measures of it for the log by name."""
        ...


class Loop:
    """Trains the parameters of `parts` that require a gradient.

    Args:
        parts: what takes part in training; they are moved to the device.
        source: gives the batch of every step.
        objective: gives the batch's loss.
        settings: of the optimisation.
        seed: of every step's generator, which source and objective share.
        device: where the parts work.
        state: file of the checkpoint.
        rates: learning rates by a text in the parameters' names, see `Optimizer`.
    """

    def __init__(
        self,
        parts: nn.ModuleDict,
        source: Source,
        objective: Objective,
        settings: Optimization,
        seed: int,
        device: torch.device,
        state: Path,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        self.parts, self.source, self.objective = parts, source, objective
        self.settings, self.seed, self.device, self.state = settings, seed, device, state
        parts.to(device).train()
        self.trained = {n: p for n, p in parts.named_parameters() if p.requires_grad}
        self.optimizer = Optimizer(self.trained, settings, rates)
        self.average = Average(self.optimizer.masters, settings.ema)
        self.step = 0

    def run(self, hooks: Sequence[Hook] = ()) -> None:
        """Train to the configured number of steps and leave a checkpoint.

        Args:
            hooks: called in turn after every step with its number, counted from 1, and measures,
                which they may add to; they may raise to stop.

        Raises:
            ValueError: if the gradient is not finite.
            OSError: if a checkpoint cannot be written.
        """
        while self.step < self.settings.steps:
            started = time.monotonic()
            measures = self.train_step()
            measures["seconds"] = time.monotonic() - started
            for hook in hooks:
                hook(self.step, measures)
            if self.step % self.settings.checkpoint_every == 0:
                self.save()
        self.save()

    def train_step(self) -> dict[str, float]:
        """One step; returns its measures."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        batch = self.source(self.step, generator)
        # On a CPU the plain kernel beats the fused one for short sequences.
        kernels = [SDPBackend.MATH] if self.device.type == "cpu" else _KERNELS
        low = self.settings.precision == "bf16"
        with sdpa_kernel(kernels):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
                loss, measures = self.objective(batch, generator)
            self.optimizer.zero_grad()
            loss.backward()
        norm = self.optimizer.step(self.step)
        self.average.update(self.step)
        self.step += 1
        return {"loss": loss.item(), "gradient_norm": norm, **measures}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A context in which the parts hold their averaged weights, in evaluation mode."""
        with self.average.placed(self.trained):
            self.parts.eval()
            try:
                yield
            finally:
                self.parts.train()

    def save(self) -> None:
        """Write everything that is needed to go on: weights, average, optimiser, step."""
        state = {"step": torch.tensor(self.step), **self._state(), **self.optimizer.state()}
        write_tensors(self.state, state)

    def resume(self) -> bool:
        """Go on from the checkpoint, if there is one.

        Raises:
            ValueError: if it is damaged or that of other parts.
        """
        if not self.state.exists():
            return False
        with read_tensors(self.state) as state:
            step = state.pop("step", torch.tensor(-1))
            if step.shape != () or step.dtype != torch.int64:
                raise ValueError("its step is no integer")
            if not 0 <= int(step) <= self.settings.steps:
                raise ValueError(f"its step is {int(step)}, expected 0 to {self.settings.steps}")
            mine = self._state()
            copy_all(mine, {name: state.pop(name) for name in mine.keys() & state.keys()})
            self.optimizer.load(state)
            self.step = int(step)
        return True

    def _state(self) -> dict[str, Tensor]:
        """Trained parameters, buffers and averages; frozen parameters are where they came from."""
        frozen = {n for n, p in self.parts.named_parameters() if not p.requires_grad}
        weights = {n: w for n, w in self.parts.state_dict().items() if n not in frozen}
        state = {f"weights/{name}": value for name, value in weights.items()}
        return state | {f"average/{name}": value for name, value in self.average.values.items()}
