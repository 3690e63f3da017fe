"""What an engine moves about: items, the groups of stages that they pass, and what comes out."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ..fields import plain
from .candidate import Candidate, Step
from .stage import Resources, Stage

SPLITTING = "shots"  # what it makes of one candidate is spread over the workers
FAILED = "failed: "
_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EROFS)


@dataclass(frozen=True, eq=False)
class Item:
    """A candidate on its way.

    Attributes:
        origin: key of the candidate that it was at the beginning.
        candidate: as it is now.
        done: keys of parts of the origin that an earlier run has finished; they are left out.
        attempts: workers that died over it.
    """

    origin: str
    candidate: Candidate
    done: frozenset[str] = frozenset()
    attempts: int = 0


@dataclass(frozen=True, eq=False)
class Result:
    """A candidate at its end, kept or dropped.

    Attributes:
        origin: as of its item.
        candidate: without masks, tracks and cut-outs, which `members` have.
        members: files of its clip by their names in a shard; None where it is dropped.
    """

    origin: str
    candidate: Candidate
    members: dict[str, bytes] | None = None


Outcome = Item | Result


@dataclass(frozen=True)
class Group:
    """Stages that one worker runs one after the other."""

    stages: tuple[Stage, ...]
    resources: Resources

    @property
    def name(self) -> str:
        """The names of its stages."""
        return "+".join(stage.name for stage in self.stages)


class Engine(Protocol):
    """Moves items through groups of stages; the last group's outcomes are results."""

    def run(
        self, items: Iterable[Item], groups: Sequence[Group], report: Callable[[Result], None]
    ) -> None:
        """Work until all items have become results, in any order.

        Args:
            items: asked for as there is room.
            groups: in order.
            report: takes each result, in this process; what it raises ends the work.

        Raises:
            ValueError, OSError: if a stage cannot be opened, or a disk is full.
        """
        ...


def grouped(stages: Sequence[Stage]) -> list[Group]:
    """Neighbours that take the same resources share a worker, and what it has decoded."""
    groups: list[Group] = []
    for place, stage in enumerate(stages):
        last = groups[-1] if groups else None
        split = place > 0 and stages[place - 1].name == SPLITTING
        if last is not None and last.resources == stage.resources and not split:
            groups[-1] = replace(last, stages=(*last.stages, stage))
        else:
            groups.append(Group((stage,), stage.resources))
    return groups


class Worker:
    """Runs the stages of a group; they are opened with the first item.

    Args:
        group: what to run.
        last: whether its outcomes are results.
        at: is told the name of each stage before it runs.
    """

    def __init__(self, group: Group, last: bool, at: Callable[[str], object]) -> None:
        self.group, self.last, self.at = group, last, at
        self._opened = False

    def __call__(self, item: Item) -> list[Outcome]:
        """The outcomes of one item.

        Raises:
            OSError: if a disk is full; ValueError: if a stage cannot be opened.
        """
        if not self._opened:
            for stage in self.group.stages:
                self.at(stage.name)
                stage.open()
            self._opened = True
        candidates = [item.candidate]
        for stage in self.group.stages:
            following: list[Candidate] = []
            for candidate in candidates:
                if candidate.kept:
                    self.at(stage.name)
                    following += run_stage(stage, candidate)
                else:
                    following.append(candidate)
            candidates = [one for one in following if one.key not in item.done]
        return [
            _result(item.origin, candidate)
            if self.last or not candidate.kept
            else replace(item, candidate=candidate, attempts=0)
            for candidate in candidates
        ]


def _result(origin: str, candidate: Candidate) -> Result:
    from .packing import pack

    if candidate.kept:
        try:
            return Result(origin, replace(candidate, entities=()), pack(candidate))
        except (ValueError, OSError) as error:
            candidate = candidate.drop(candidate.steps[-1].stage, _reason(error))
    return Result(origin, replace(candidate, entities=()))


def run_stage(stage: Stage, candidate: Candidate) -> list[Candidate]:
    """What a stage makes of a candidate, with the step noted; what it raises drops the candidate.

    Raises:
        OSError: if a disk is full.
    """
    start = time.perf_counter()
    try:
        made = list(stage(candidate)) or [candidate.drop(stage.name, "nothing came of it")]
    except Exception as error:  # of one clip of a million: it is named, and the work goes on
        made = [candidate.drop(stage.name, _reason(error))]
    seconds = (time.perf_counter() - start) / len(made)
    before = tuple(_shared(step, len(made)) for step in candidate.steps)
    return [
        replace(one, steps=(*before, Step(stage.name, seconds, 1 / len(made), float(one.kept))))
        for one in made
    ]


def lost(stage: str, item: Item, reason: str) -> Result:
    """The result of an item over which its workers die."""
    step = Step(stage, 0.0, 1.0, 0.0)
    candidate = replace(item.candidate.drop(stage, reason), entities=())
    return Result(item.origin, replace(candidate, steps=(*candidate.steps, step)))


def _shared(step: Step, count: int) -> Step:
    return Step(step.stage, step.seconds / count, step.into / count, step.out / count)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        if error.errno in _FATAL:
            raise error
        return plain((error.strerror or str(error)).lower(), 300)
    if isinstance(error, ValueError):
        return plain(str(error), 300)
    return plain(f"{FAILED}{type(error).__name__}: {error}", 300)
