"""The processes of a run: one, or as many as torchrun started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from ..device import resolve_device
from ..files import wait_for

_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class World:
    """This process among those of the run.

    Attributes:
        device: where this process works.
        rank: its number, from 0; `size` of how many.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and shows what all have in common."""
        return self.rank == 0

    def mine(self, count: int) -> slice:
        """Which of `count` items, the same number for every process, are this one's."""
        share = count // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            dist.barrier()

    def have(self, path: Path, make: Callable[[], None]) -> None:
        """Have a file, which the first process makes if it is missing, however long that takes."""
        if self.first and not path.exists():
            make()
        wait_for(path)

    def part(self, batch: int, accumulate: int) -> int:
        """Clips of one of the `accumulate` parts of a batch, which all processes share.

        Raises:
            ValueError: if they cannot be shared out evenly.
        """
        count = batch // accumulate
        if count % self.size:
            raise ValueError(
                f"key 'optimization.batch' is {batch}, in {accumulate} parts; expected parts "
                f"of a multiple of {self.size}, the number of processes"
            )
        return count

    def any(self, flag: bool) -> bool:
        """Whether the flag of one process at least is set."""
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value)

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Means over the processes, which all have the same names."""
        if self.size == 1:
            return dict(values)
        names = sorted(values)
        total = torch.tensor([values[name] for name in names], dtype=torch.float64)
        total = total.to(self.device, torch.float32 if self.device.type == "mps" else None)
        dist.all_reduce(total)
        means = (total / self.size).tolist()
        return {name: means[names.index(name)] for name in values}

    def gathered(self, x: Tensor) -> Tensor:
        """The rows of all processes, in the order of their ranks; gradients find the way back.

        Args:
            x: [N, …]; N may differ from process to process, the rest is the same.

        Returns:
            [sum of N, …]. Every process's loss of the whole is taken to be the same: gradients of
            the processes are added, and the mean that sharding takes over them makes them one.
        """
        if self.size == 1:
            return x
        counts = [torch.zeros((), dtype=torch.int64, device=x.device) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor(len(x), device=x.device))
        most = max(int(count) for count in counts)
        if most == 0:
            return x
        padded = torch.cat([x, x.new_zeros(most - len(x), *x.shape[1:])])
        parts = _Gather.apply(padded, self.rank, self.size)
        kept = [part[: int(n)] for part, n in zip(parts.split(most), counts, strict=True)]
        return torch.cat(kept)


class _Gather(torch.autograd.Function):
    """all_gather of equal shapes whose gradient is the sum over the processes."""

    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, *given: object) -> Tensor:
        x, rank, size = given
        assert isinstance(x, Tensor) and isinstance(size, int)
        context.rank, context.count = rank, len(x)  # type: ignore[attr-defined]
        parts = [torch.empty_like(x) for _ in range(size)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(
        context: torch.autograd.function.FunctionCtx, *gradients: Tensor
    ) -> tuple[Tensor, None, None]:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        rank, count = context.rank, context.count  # type: ignore[attr-defined]
        return gradient[rank * count : (rank + 1) * count], None, None


@contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun started, or be alone.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N"; under torchrun each process takes the GPU of its
            local rank.

    Raises:
        ValueError: if there is no such device.
    """
    if "RANK" not in os.environ:
        yield World(resolve_device(device))
        return
    own = resolve_device(device)
    if own.type == "cuda":
        own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(own)
    joined = not dist.is_initialized()
    if joined:
        dist.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield World(own, dist.get_rank(), dist.get_world_size())
    finally:
        if joined:
            dist.destroy_process_group()
