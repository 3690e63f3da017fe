"""Processes of this machine: a few for each group of stages, started where there is work for them.

What has come furthest is worked on first, so that little waits between the groups. A worker that
dies is replaced, and its item tried again; over an item that kills several, the work goes on.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from ..work import Group, Item, Result, Worker, lost

logger = logging.getLogger(__name__)

ATTEMPTS = 3
_WAITING = 8  # items for each worker, beyond which no new video is begun
_GRACE = 5.0  # seconds that a worker has to end by itself


def make(workers: int, address: str | None = None) -> Local:
    """See `engines.make`."""
    if address is not None:
        raise ValueError(f"the engine local has no address, expected none instead of {address!r}")
    return Local(workers)


@dataclass(eq=False)
class _Process:
    """A worker; `item` is what it has, None where it waits."""

    group: int
    process: Any
    pipe: Connection
    stage: Any  # shared with the process: which of the group's stages it is at
    gpu: int | None
    item: bytes | None = None
    attempts: int = 0
    used: float = 0.0


class Local:
    """See the module."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(
        self, items: Iterable[Item], groups: Sequence[Group], report: Callable[[Result], None]
    ) -> None:
        """See `Engine`."""
        run = _Run(self.workers, iter(items), groups, report)
        try:
            run.loop()
        finally:
            run.end()


class _Run:
    """The state of one run."""

    def __init__(
        self,
        workers: int,
        items: Iterator[Item],
        groups: Sequence[Group],
        report: Callable[[Result], None],
    ) -> None:
        self.workers, self.items, self.groups, self.report = workers, items, groups, report
        # Pickled, with the workers that died over it: this process never needs what is in them.
        self.queues: list[deque[tuple[bytes, int]]] = [deque() for _ in groups]
        self.processes: list[_Process] = []
        self.exhausted = False
        self.memory, self.gpus = _memory(), _gpus(groups)

    def loop(self) -> None:
        """Until nothing is left."""
        while True:
            self._fill()
            while self._dispatch():
                self._fill()
            busy = [one for one in self.processes if one.item is not None]
            if not busy:
                return
            ready = wait([one.pipe for one in busy])
            for one in busy:
                if one.pipe in ready:
                    self._receive(one)

    def end(self) -> None:
        """Stop all processes."""
        for one in self.processes:
            with contextlib.suppress(OSError):
                if one.item is None:
                    one.pipe.send_bytes(b"")
                else:
                    one.process.terminate()
        for one in self.processes:
            self._bury(one)
        self.processes = []

    def _fill(self) -> None:
        while not self.exhausted and sum(map(len, self.queues)) < _WAITING * self.workers:
            if self.queues[0]:
                return
            item = next(self.items, None)
            if item is None:
                self.exhausted = True
            else:
                self.queues[0].append((pickle.dumps(item), 0))

    def _dispatch(self) -> bool:
        """Give one item to one worker, if there is any that can take it."""
        if sum(one.item is not None for one in self.processes) >= self.workers:
            return False
        waiting = [place for place in reversed(range(len(self.groups))) if self.queues[place]]
        for place in waiting:
            for one in self.processes:
                if one.group == place and one.item is None:
                    return self._give(one)
        return any(self._room(place) and self._give(self._start(place)) for place in waiting)

    def _give(self, one: _Process) -> bool:
        one.item, one.attempts = self.queues[one.group].popleft()
        one.used = time.monotonic()
        with contextlib.suppress(OSError):  # it has died; receiving from it will tell
            one.pipe.send_bytes(one.item)
        return True

    def _room(self, place: int) -> bool:
        """Whether another worker of a group can be started; idle ones of others make room."""
        needed = self.groups[place].resources
        while True:
            taken = [self.groups[one.group].resources for one in self.processes]
            memory = sum(each.memory for each in taken) + needed.memory
            gpus = sum(each.gpus for each in taken) + needed.gpus
            full = memory > self.memory or (self.gpus > 0 < needed.gpus and gpus > self.gpus)
            if not self.processes or (not full and len(taken) < self._most()):
                return True
            idle = [one for one in self.processes if one.item is None]
            if not idle:
                return False
            self._retire(min(idle, key=lambda one: one.used))

    def _most(self) -> int:
        return self.workers * len(self.groups)

    def _start(self, place: int) -> _Process:
        group = self.groups[place]
        gpu = None
        if group.resources.gpus and self.gpus:
            users = [one.gpu for one in self.processes]
            gpu = min(range(self.gpus), key=users.count)
        # A forked process knows what was registered; a GPU's driver does not survive forking.
        forks = sys.platform == "linux" and not group.resources.gpus
        context: Any = multiprocessing.get_context("fork" if forks else "spawn")
        ours, theirs = context.Pipe()
        stage = context.RawValue("i", 0)
        last = place == len(self.groups) - 1
        process = context.Process(
            target=_work, args=(theirs, group, last, stage, gpu, os.getpid()), daemon=True
        )
        process.start()
        theirs.close()
        self.processes.append(_Process(place, process, ours, stage, gpu))
        return self.processes[-1]

    def _receive(self, one: _Process) -> None:
        try:
            kind, content = pickle.loads(one.pipe.recv_bytes())
        except (EOFError, OSError, pickle.UnpicklingError):
            self._died(one)
            return
        if kind == "error":
            raise content
        one.item = None
        for outcome in content:
            if isinstance(outcome, bytes):
                self.queues[one.group + 1].append((outcome, 0))
            else:
                self.report(outcome)

    def _died(self, one: _Process) -> None:
        self.processes.remove(one)
        self._bury(one)
        assert one.item is not None
        code = one.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        group, attempts = self.groups[one.group], one.attempts + 1
        name = group.stages[one.stage.value].name
        if attempts < ATTEMPTS:
            logger.warning("a worker died in the stage %s (%s); its clip is tried again", name, how)
            self.queues[one.group].append((one.item, attempts))
            return
        item = replace(pickle.loads(one.item), attempts=attempts)
        self.report(lost(name, item, f"{attempts} workers died over it ({how})"))

    def _retire(self, one: _Process) -> None:
        self.processes.remove(one)
        with contextlib.suppress(OSError):
            one.pipe.send_bytes(b"")
        self._bury(one)

    @staticmethod
    def _bury(one: _Process) -> None:
        one.process.join(_GRACE)
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        one.pipe.close()


def _work(
    pipe: Connection, group: Group, last: bool, stage: Any, gpu: int | None, parent: int
) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that asks for work ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = _visible(gpu)
    one_thread()
    places = {each.name: place for place, each in enumerate(group.stages)}

    def at(name: str) -> None:
        stage.value = places[name]

    worker = Worker(group, last, at)
    with contextlib.suppress(EOFError, OSError):
        while content := pipe.recv_bytes():
            try:
                outcomes: list[Any] = list(worker(pickle.loads(content)))
                answer = ("done", [_outgoing(outcome) for outcome in outcomes])
            except Exception as error:  # of opening a stage, or of the disk: it ends the work
                answer = ("error", plain_error(error))  # type: ignore[assignment]
            pipe.send_bytes(pickle.dumps(answer))


def _outgoing(outcome: Item | Result) -> Any:
    return outcome if isinstance(outcome, Result) else pickle.dumps(outcome)


def plain_error(error: Exception) -> Exception:
    """The same in a type that travels."""
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, error.strerror, error.filename)
    if isinstance(error, ValueError | OSError):
        return ValueError(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")


def _end_with(parent: int) -> None:
    """A worker whose parent was killed ends too; its pipe may be held open by its siblings."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def one_thread() -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _visible(gpu: int) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return visible.split(",")[gpu] if visible else str(gpu)


def _memory() -> int:
    """Bytes that workers may take: of the machine's, all but a tenth."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        whole = 8 << 30
    return whole * 9 // 10


def _gpus(groups: Sequence[Group]) -> int:
    if not any(group.resources.gpus for group in groups):
        return 0
    import torch

    return torch.cuda.device_count()
