"""A run of curation: videos through stages to a set of clips, resumable at any moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.damage import Damage
from ..files import atomic_path
from .candidate import Candidate
from .config import Settings
from .engines import make
from .funnel import Funnel, pyplot, write_picture
from .journal import Journal
from .page import Examples, write_page
from .rows import write_rows
from .sources import sources
from .stage import STAGES
from .work import FAILED, Item, Result, grouped

_NAMED = 1000
_WHOLE = 1 - 1e-6


class Absent(ValueError):
    """What stages need is not here; `sentences` has one for each thing."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = tuple(sentences)


@dataclass(frozen=True)
class Report:
    """What a run, with those before it that it went on from, has made of the videos.

    Attributes:
        engine: that worked last; `seconds`: of this run.
        stages, left_out: that were run, and were not.
        videos: that were asked for; `candidates`: what they became; `kept`: clips.
        failures: candidates over which a stage failed in a way that nobody has foreseen.
        damaged: path and reason of videos that the first stage dropped, the first of them.
        funnel: lines of a table.
    """

    engine: str
    seconds: float
    stages: tuple[str, ...]
    left_out: tuple[str, ...]
    videos: int
    candidates: int
    kept: int
    failures: int
    damaged: dict[str, str] = field(default_factory=dict)
    funnel: tuple[str, ...] = ()


def curate(
    videos: Path,
    output: Path,
    settings: Settings | None = None,
    engine: str = "local",
    stages: Sequence[str] = STAGES,
    advance: Callable[[int, int, int], object] | None = None,
) -> Report:
    """Turn videos into clips.

    Run again with the same stages and settings, it makes what is missing, and nothing else.

    Args:
        videos: a file, a folder or a list, as `sources.sources` takes it.
        output: folder of the set: `shards/`, `index.parquet`, `clips.parquet`, `funnel.json`,
            `funnel.png`, `funnel.html`, `report.json`, and `work/` to go on from.
        settings: the paper's by default.
        engine: one of `engines.engines()`.
        stages: names in order.
        advance: is told after each candidate how many videos, candidates and clips there are.

    Raises:
        Absent: if a stage lacks something.
        ValueError: if there is no video, the folder holds another run, or too much fails.
        OSError: if something cannot be written; the run can go on when there is room.
    """
    settings = settings or Settings()
    built = settings.build(stages)
    absent = [sentence for stage in built for sentence in stage.needs()]
    if absent:
        raise Absent(absent)
    pyplot()
    begun = time.monotonic()
    workers = settings.run.workers or os.cpu_count() or 1
    running = make(engine, workers, settings.run.address)
    found = sources(videos)
    journal = Journal(output, settings.asked(stages), settings.run.shard_mb * 1_000_000)
    try:
        todo = _Todo(journal, found)
        damage = Damage(settings.run.failures)

        def report(result: Result) -> None:
            if not todo.take(result):
                return
            journal.add(result)
            if (result.candidate.reason or "").startswith(FAILED):
                damage.found(f"{result.candidate.source}: {result.candidate.reason}")
            else:
                damage.sound()
            if advance is not None:
                advance(todo.finished, todo.candidates, todo.kept)

        if advance is not None:
            advance(todo.finished, todo.candidates, todo.kept)
        running.run(todo.items(), grouped(built), report)
        return _finish(journal, stages, engine, settings, len(found), begun)
    finally:
        journal.close()


class _Todo:
    """What is left to do, after what the journal has.

    Attributes:
        finished: videos of which everything is done; `candidates`: done; `kept`: of them.
    """

    def __init__(self, journal: Journal, found: Sequence[Candidate]) -> None:
        self.found = found
        self.finished = self.candidates = self.kept = 0
        self._shares: dict[str, float] = {}  # of videos that are partly done
        self._done: set[str] = set()  # videos
        self._keys: dict[str, set[str]] = {}  # of the parts of videos that are partly done
        for row in journal.rows():
            self._count(row.origin, row.share, row.kept)
        for row in journal.rows():
            if row.origin not in self._done:
                self._keys.setdefault(row.origin, set()).add(row.key)

    def items(self) -> Iterator[Item]:
        """The videos of which something is missing."""
        for candidate in self.found:
            origin = candidate.key
            if origin not in self._done:
                yield Item(origin, candidate, frozenset(self._keys.get(origin, ())))

    def take(self, result: Result) -> bool:
        """Whether a result is new."""
        origin, candidate = result.origin, result.candidate
        keys = self._keys.setdefault(origin, set())
        if origin in self._done or candidate.key in keys:
            return False
        keys.add(candidate.key)
        self._count(origin, candidate.steps[0].into if candidate.steps else 1.0, candidate.kept)
        return True

    def _count(self, origin: str, share: float, kept: bool) -> None:
        self.candidates += 1
        self.kept += kept
        share += self._shares.pop(origin, 0.0)
        if share < _WHOLE:
            self._shares[origin] = share
        else:
            self._done.add(origin)
            self._keys.pop(origin, None)
            self.finished += 1


def _finish(
    journal: Journal,
    stages: Sequence[str],
    engine: str,
    settings: Settings,
    videos: int,
    begun: float,
) -> Report:
    """Write everything that is made of all rows."""
    journal.finish()
    funnel, examples = Funnel(stages), Examples(stages, settings.run.examples)
    scores: set[str] = set()
    candidates = kept = failures = 0
    damaged: dict[str, str] = {}
    for row in journal.rows():
        funnel.add(row)
        examples.add(row)
        scores.update(row.scores)
        candidates += 1
        kept += row.kept
        failures += (row.reason or "").startswith(FAILED)
        if row.dropped_by == stages[0] and len(damaged) < _NAMED:
            damaged[row.source] = row.reason or ""
    output = journal.folder
    write_rows(journal.rows(), scores, output / "clips.parquet")
    left_out = [name for name in STAGES if name not in stages]
    write_picture(funnel, output / "funnel.png")
    write_page(funnel, examples, left_out, output / "funnel.png", output / "funnel.html")
    report = Report(
        engine=engine,
        seconds=round(time.monotonic() - begun, 1),
        stages=tuple(stages),
        left_out=tuple(left_out),
        videos=videos,
        candidates=candidates,
        kept=kept,
        failures=failures,
        damaged=dict(sorted(damaged.items())),
        funnel=tuple(funnel.table(left_out)),
    )
    _write_json(output / "report.json", {**vars(report), "funnel": funnel.to_dict()})
    _write_json(output / "funnel.json", funnel.to_dict())
    return report


def _write_json(path: Path, values: Any) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
