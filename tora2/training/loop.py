"""The training loop: parts, a source of batches and an objective in, trained parts out.

It knows nothing of what is trained. Everything random is a function of the seed and the step, so a
resumed run repeats the steps that an uninterrupted one would have made, also on another number of
processes.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.attention import SDPBackend, sdpa_kernel

from .checkpoints import Checkpoints
from .distributed import World
from .optimizer import Average, Optimization, Optimizer
from .sharding import average, shard

logger = logging.getLogger(__name__)

_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

T = TypeVar("T")

Hook = Callable[[int, dict[str, float]], None]


class Source(Protocol):
    """Where batches come from."""

    def __call__(self, step: int, generator: torch.Generator) -> Any:
        """This process's share of a batch, a function of the step and the generator's state.

        Steps are those of batches: with accumulation an optimiser step has several.
        """
        ...


class Objective(Protocol):
    """What is to become small."""

    def __call__(
        self, batch: Any, generator: torch.Generator
    ) -> tuple[Tensor, Mapping[str, float]]:
        """The loss of a batch, and measures of it for the log by name.

        What is drawn is drawn for the clips of all processes, so that it does not depend on how
        many there are.
        """
        ...


@dataclass(frozen=True)
class _Work:
    """Something else to do with the parts than a step."""

    function: Callable[[], Any]


class Terminated(Exception):
    """The run was asked to end (SIGTERM), and has left a checkpoint."""


class _Step(nn.Module):
    """The loss as the forward of the module that holds all parts: what sharding gathers for."""

    def __init__(self, parts: nn.ModuleDict, objective: Objective, reach_all: bool) -> None:
        super().__init__()
        self.parts = parts
        self.objective = objective
        self.reach_all = reach_all

    def forward(self, batch: Any, generator: torch.Generator | None = None) -> Any:
        if isinstance(batch, _Work):
            return batch.function()
        assert generator is not None
        loss, measures = self.objective(batch, generator)
        if self.reach_all:
            for parameter in self.parts.parameters():
                if parameter.requires_grad:
                    loss = loss + 0.0 * parameter.sum()
        return loss, measures


class Loop:
    """Trains the parameters of `parts` that require a gradient.

    Args:
        parts: what takes part in training; they are moved to the device.
        source: gives the batch of every step.
        objective: gives the batch's loss.
        settings: of the optimisation.
        seed: of every step's generator, which source and objective share.
        world: the processes, and where this one works.
        folder: of the checkpoints.
        rates: learning rates by a text in the parameters' names, see `Optimizer`.
        blocks: of the backbone among the parts, which are gathered one at a time.
        reach_all: give a parameter that no clip of a batch reaches (a batch may have no pictures)
            a gradient of zero, with which AdamW still moves it by its moments. Processes reduce
            gradients together, so several need it; for equal numbers one has it too.
        muon: names of the matrices that Muon moves, see `Optimizer`.

    Raises:
        ValueError: if there are several processes and not `reach_all`.
    """

    def __init__(
        self,
        parts: nn.ModuleDict,
        source: Source,
        objective: Objective,
        settings: Optimization,
        seed: int,
        world: World,
        folder: Path,
        rates: Mapping[str, float] | None = None,
        blocks: Iterable[nn.Module] = (),
        reach_all: bool = False,
        muon: Collection[str] = (),
    ) -> None:
        if world.size > 1 and not reach_all:
            raise ValueError(f"this recipe trains in one process, expected no {world.size}")
        blocks = list(blocks)
        self.parts, self.source, self.settings, self.seed = parts, source, settings, seed
        self.world = world
        parts.to(world.device).train()
        self._call = _Step(parts, objective, reach_all)
        if settings.compile:
            for block in blocks:
                for part in block.children():
                    part.compile()
        self._scalars: list[nn.Parameter] = []
        if world.size > 1:
            self._scalars = shard(self._call, blocks, world, settings.precision == "bf16")
        self.trained = {n: p for n, p in parts.named_parameters() if p.requires_grad}
        self.optimizer = Optimizer(self.trained, settings, rates, muon)
        self.average = Average(self.optimizer.masters, settings.ema)
        self.checkpoints = Checkpoints(folder, world, settings.keep)
        self.step = self.skipped = self._in_a_row = 0

    def run(self, hooks: Sequence[Hook] = ()) -> None:
        """Train to the configured number of steps and leave a checkpoint.

        SIGTERM ends the run after the step it comes in.

        Args:
            hooks: called in turn after every step with its number, counted from 1, and measures,
                which they may add to; they may raise to stop.

        Raises:
            ValueError: if the gradient is not finite several times in a row.
            OSError: if a checkpoint cannot be written.
            Terminated: after SIGTERM, with a checkpoint of the last step.
        """
        with _asked_to_end() as asked:
            while self.step < self.settings.steps:
                started = time.monotonic()
                measures = self.train_step()
                measures["seconds"] = time.monotonic() - started
                self.optimizer.zero_grad()  # whatever comes between two steps has their room
                for hook in hooks:
                    hook(self.step, measures)
                ends = self.world.any(asked.is_set())
                if ends or self.step % self.settings.checkpoint_every == 0:
                    self.save()
                if ends:
                    raise Terminated(f"ended by SIGTERM after step {self.step}")
        self.save()

    def train_step(self) -> dict[str, float]:
        """One step; returns its measures, which are means over batches and processes."""
        many = self.settings.accumulate
        totals: dict[str, list[float]] = {}
        self.optimizer.zero_grad()
        for turn in range(many):
            for name, value in self._backward(self.step * many + turn, many).items():
                totals.setdefault(name, []).append(value)
        measures = self.world.mean({name: sum(v) / len(v) for name, v in totals.items()})
        average(self._scalars, self.world)
        norm = self.optimizer.step(self.step)
        self._count(norm)
        self.average.update(self.step)
        self.step += 1
        loss = measures.pop("loss")
        skipped = {"skipped": float(self.skipped)} if self.skipped else {}
        return {"loss": loss, "gradient_norm": norm, **measures, **skipped}

    def _backward(self, turn: int, many: int) -> dict[str, float]:
        """Gradients of one batch, added to those that are there; its measures and loss."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + turn)
        batch = self.source(turn, generator)
        kind = self.world.device.type
        # On a CPU the plain kernel beats the fused one for short sequences.
        kernels = [SDPBackend.MATH] if kind == "cpu" else _KERNELS
        low = self.settings.precision == "bf16"
        with sdpa_kernel(kernels):
            with torch.autocast(kind, torch.bfloat16, enabled=low):
                loss, measures = self._call(batch, generator)
            (loss if many == 1 else loss / many).backward()
        return {"loss": loss.item(), **measures}

    def _count(self, norm: float) -> None:
        """Count steps whose gradient was not finite, in which nothing has moved."""
        if math.isfinite(norm):
            self._in_a_row = 0
            return
        self.skipped += 1
        self._in_a_row += 1
        logger.warning("step %d is skipped: its gradient is not finite", self.step)
        if self._in_a_row >= self.settings.patience:
            raise ValueError(
                f"the gradient is not finite at step {self.step}, {self._in_a_row} times in a row"
            )

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A context in which the parts hold their averaged weights, in evaluation mode."""
        with self.average.placed(self.trained):
            self.parts.eval()
            try:
                yield
            finally:
                self.parts.train()

    @torch.no_grad()
    def using(self, function: Callable[[], T]) -> T:
        """What a function makes with the parts, which are gathered for it; no gradients.

        All processes call it together, and run the backbone equally often in it.
        """
        result: T = self._call(_Work(function))
        if isinstance(self._call, FSDPModule):
            self._call.reshard()
        return result

    def save(self) -> None:
        """Write everything that is needed to go on: weights, average, optimiser, step."""
        self.checkpoints.save(self.step, {**self._state(), **self.optimizer.state()})

    def resume(self) -> bool:
        """Go on from the last checkpoint, if there is one.

        Raises:
            ValueError: if it is damaged or that of other parts.
        """
        names = self.checkpoints.names()
        if names is None:
            return False
        self.optimizer.prepare(names)
        self.step = self.checkpoints.load({**self._state(), **self.optimizer.state()})
        self.optimizer.follow()
        return True

    def _state(self) -> dict[str, Tensor]:
        """Trained parameters, buffers and averages; frozen parameters are where they came from."""
        own = {*self.trained, *(name for name, _ in self.parts.named_buffers())}
        weights = {n: w for n, w in self.parts.state_dict().items() if n in own}
        state = {f"weights/{name}": value for name, value in weights.items()}
        return state | {f"average/{name}": value for name, value in self.average.values.items()}


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """An event that SIGTERM sets, in place of ending the process at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        # A scheduler asks all processes of a job. That workers which draw clips end, too, would
        # else be raised as an error wherever this one is, such as in the checkpoint.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)}
    signal.signal(signal.SIGTERM, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
