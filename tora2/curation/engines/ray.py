"""Ray Data: a cluster, or this machine as one; groups of stages are pools of actors.

Rows stream from pool to pool as pickled items, in blocks small enough that the shots of one long
video are spread over all workers. An actor that dies is started again and its block repeated; what
kills several of them is dropped.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ...precompute.on_ray import running
from ..work import Group, Item, Result, Worker, lost

ATTEMPTS = 3
_BLOCK_BYTES = 16 << 10
_WAVE = 10_000  # videos that are streamed at a time
_ERROR = "error"


def make(workers: int, address: str | None = None) -> Ray:
    """See `engines.make`; the address is as `ray.init` takes it, such as `ray://head:10001`."""
    ray = _load()
    return Ray(ray, workers, address or os.environ.get("RAY_ADDRESS"))


def _load() -> Any:
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        from ...precompute.on_ray import load_ray

        return load_ray()
    except ValueError:
        raise ValueError("the engine ray needs Ray: pip install 'comfyui-tora2[ray]'") from None


@dataclass(frozen=True)
class Ray:
    """See the module.

    Attributes:
        ray: the module.
        workers: actors of a group, at most; on a cluster the pools grow to it as there is work.
        address: of a cluster; None starts one on this machine for as long as the run takes.
    """

    ray: Any
    workers: int
    address: str | None

    def run(
        self, items: Iterable[Item], groups: Sequence[Group], report: Callable[[Result], None]
    ) -> None:
        """See `Engine`."""
        begun = iter(items)
        wave = list(islice(begun, _WAVE))
        if not wave:
            return
        # Every pool keeps an actor, so a machine of few cores needs as many slots as pools.
        slots = self.workers + sum(max(1, round(group.resources.cpus)) for group in groups)
        with running(self.ray, slots, self.address):
            context = self.ray.data.DataContext.get_current()
            context.target_max_block_size = _BLOCK_BYTES
            attempts = self.ray.remote(num_cpus=0)(Attempts).remote()
            while wave:
                rows = [{"row": pickle.dumps(item), "final": False} for item in wave]
                data = self.ray.data.from_items(rows, override_num_blocks=len(rows))
                for place, group in enumerate(groups):
                    data = self._pool(data, group, place == len(groups) - 1, attempts)
                for batch in data.iter_batches(batch_size=None, batch_format="pyarrow"):
                    for value in batch.column("row").to_pylist():
                        kind, content = pickle.loads(value)
                        if kind == _ERROR:
                            raise content
                        report(content)
                wave = list(islice(begun, _WAVE))

    def _pool(self, data: Any, group: Group, last: bool, attempts: Any) -> Any:
        resources = group.resources
        gpus = resources.gpus if self.ray.cluster_resources().get("GPU") else 0
        return data.map_batches(
            Actor,
            fn_constructor_args=(pickle.dumps((group, last)), attempts),
            batch_size=1,
            batch_format="pyarrow",
            concurrency=(1, self.workers),
            num_cpus=resources.cpus,
            num_gpus=gpus,
            **({"memory": resources.memory} if self.address else {}),
        )


class Attempts:
    """Counts how often work on an item was begun and not ended, in an actor that does not die."""

    def __init__(self) -> None:
        self.begun: dict[str, int] = {}
        self.stages: dict[str, str] = {}

    def begin(self, key: str) -> tuple[int, str]:
        """How many have died over it before, and in which stage the last one."""
        self.begun[key] = self.begun.get(key, 0) + 1
        return self.begun[key] - 1, self.stages.get(key, "")

    def at(self, key: str, stage: str) -> None:
        """Work on it has come to a stage."""
        self.stages[key] = stage

    def end(self, key: str) -> None:
        """Work on it is done."""
        self.begun.pop(key, None)
        self.stages.pop(key, None)


class Actor:
    """One process of a pool."""

    def __init__(self, group: bytes, attempts: Any) -> None:
        from .local import one_thread

        one_thread()
        self.attempts = attempts
        stages, self.last = pickle.loads(group)
        self.first = stages.stages[0].name
        self.key = ""
        self.worker = Worker(stages, self.last, lambda name: attempts.at.remote(self.key, name))

    def __call__(self, batch: Any) -> Iterator[Any]:
        """Rows out of rows; results pass through."""
        import pyarrow
        import ray

        for row in batch.to_pylist():
            if row["final"]:
                yield pyarrow.Table.from_pylist([row])
                continue
            item: Item = pickle.loads(row["row"])
            self.key = f"{self.first}:{item.candidate.key}"
            died, stage = ray.get(self.attempts.begin.remote(self.key))
            outcomes: list[Any]
            if died >= ATTEMPTS:
                outcomes = [lost(stage or self.first, item, f"{died} workers died over it")]
            else:
                try:
                    outcomes = list(self.worker(item))
                except Exception as error:  # of opening a stage, or of the disk: it ends the work
                    outcomes = [error]
            self.attempts.end.remote(self.key)
            for outcome in outcomes:
                yield pyarrow.Table.from_pylist([_row(outcome)])


def _row(outcome: Item | Result | Exception) -> dict[str, Any]:
    from .local import plain_error

    if isinstance(outcome, Item):
        return {"row": pickle.dumps(outcome), "final": False}
    if isinstance(outcome, Result):
        return {"row": pickle.dumps(("result", outcome)), "final": True}
    return {"row": pickle.dumps((_ERROR, plain_error(outcome))), "final": True}
