"""What a run has done, on disk as it does it: a killed run goes on from here.

`work/rows.jsonl` has a line for each candidate at its end, after a first line of what the run was
asked. `work/open.tar` is the shard that is being filled; full, it becomes `shards/NNNNNN.tar`. A
clip is in the tar before its line is written, so what is in neither is done again, and a clip
without a line is cut off.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..data.shards import INDEX, check_key, scan, write_index
from ..fields import show
from .candidate import Candidate, Step
from .work import Result

WORK, ROWS, OPEN, LOCK = "work", "rows.jsonl", "open.tar", "lock"
VERSION = 1
_BLOCK = 512


@dataclass(frozen=True)
class Row:
    """A candidate at its end, as it is written.

    Attributes:
        origin, key: of what it was cut from, and its own.
        share: of its origin, which is done when the shares come to 1.
        members: how many files its clip has, 0 where it was dropped.
        entities: how many it has.
    """

    origin: str
    key: str
    share: float
    source: str
    start: float
    end: float
    kept: bool
    dropped_by: str | None
    reason: str | None
    width: int
    height: int
    fps: float
    caption: str | None
    entities: int
    members: int
    scores: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    def candidate(self) -> Candidate:
        """What can be read of it again."""
        return Candidate(
            self.source, self.start, self.end, self.width, self.height, self.fps, self.caption
        )


def row_of(result: Result) -> Row:
    """The row of a result."""
    one, members = result.candidate, result.members or {}
    return Row(
        origin=result.origin,
        key=one.key,
        share=one.steps[0].into if one.steps else 1.0,
        source=one.source,
        start=one.start,
        end=one.end,
        kept=one.kept,
        dropped_by=one.dropped_by,
        reason=one.reason,
        width=one.width,
        height=one.height,
        fps=one.fps,
        caption=one.caption,
        entities=sum(name.endswith(".0.png") for name in members),
        members=len(members),
        scores={name: float(score) for name, score in one.scores.items()},
        steps=one.steps,
    )


class Journal:
    """See the module.

    Args:
        folder: of the output; made where it is missing.
        asked: what the run was asked: stages and their settings. Another run must ask the same.
        shard_bytes: a shard is ended when it has so many bytes.

    Raises:
        ValueError: if the folder holds a run that was asked something else, or one is at work.
        OSError: if it cannot be written.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any], shard_bytes: int) -> None:
        self.folder, self.work, self.shards = folder, folder / WORK, folder / "shards"
        self.shard_bytes = shard_bytes
        for each in (self.work, self.shards):
            each.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.work / LOCK, folder)
        self._check(asked)
        self._recover()
        self._rows = open(self.work / ROWS, "ab")  # noqa: SIM115 - as long as the journal
        self._open: BinaryIO = open(self.work / OPEN, "ab")

    def add(self, result: Result) -> Row:
        """Write one result.

        Raises:
            OSError: if the disk is full; what is half written is cut off by the next run.
        """
        row = row_of(result)
        if result.members is not None:
            for name, content in result.members.items():
                entry = tarfile.TarInfo(f"{check_key(row.key)}.{name}")
                entry.size = len(content)
                self._open.write(entry.tobuf(tarfile.USTAR_FORMAT))
                self._open.write(content)
                self._open.write(bytes(-len(content) % _BLOCK))
            self._open.flush()
        self._rows.write(_line(asdict(row)))
        self._rows.flush()
        if self._open.tell() >= self.shard_bytes:
            self.end_shard()
        return row

    def end_shard(self) -> None:
        """Make a shard of the clips that are waiting, if any are."""
        if not self._open.tell():
            return
        self._open.write(bytes(2 * _BLOCK))
        self._open.flush()
        os.fsync(self._open.fileno())
        self._open.close()
        number = 1 + max((int(path.stem) for path in self._finished()), default=-1)
        os.replace(self.work / OPEN, self.shards / f"{number:06d}.tar")
        self._open = open(self.work / OPEN, "ab")

    def finish(self) -> None:
        """Make the shard of what is waiting, and the index of all."""
        self.end_shard()
        write_index(self.shards, self.folder / INDEX)

    def close(self) -> None:
        """Let go of the files; the run can go on later."""
        for file in (self._rows, self._open, self._lock):
            with suppress(OSError):  # of a full disk; the next run cuts off what is half written
                file.close()

    def rows(self) -> Iterator[Row]:
        """Every row so far, in the order in which they were done."""
        self._rows.flush()
        return _read(self.work / ROWS)

    def _finished(self) -> list[Path]:
        return [path for path in self.shards.glob("*.tar") if re.fullmatch(r"\d{6,9}", path.stem)]

    def _check(self, asked: Mapping[str, Any]) -> None:
        path = self.work / ROWS
        first = _line({"version": VERSION, "asked": asked})
        if path.exists() and b"\n" in (there := _first_line(path)):
            if there != first:
                raise ValueError(
                    f"{self.folder} holds a run of other stages or settings, "
                    "expected another folder, or the same again"
                )
        else:
            path.write_bytes(first)

    def _recover(self) -> None:
        """Cut off what is half written, and forget the rows whose clips are not there."""
        path = self.work / ROWS
        _cut_torn_line(path)
        # A killed run may have ended the shard's bytes but not renamed it.
        waiting = _waiting(self.work / OPEN)
        members = {key: count for key, count, _ in waiting}
        for shard in self._finished():
            members.update((row.key, len(row.members)) for row in scan(shard))
        keys, lost = set(), False
        for row in _read(path):
            if row.kept and members.get(row.key) != row.members:
                lost = True
            else:
                keys.add(row.key)
        if lost:
            temporary = path.with_suffix(".new")
            with open(temporary, "wb") as file:
                file.write(_first_line(path))
                for row in _read(path):
                    if row.key in keys:
                        file.write(_line(asdict(row)))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        end = 0
        for key, _, after in waiting:
            if key not in keys:
                break
            end = after
        with open(self.work / OPEN, "ab") as file:
            file.truncate(end)


def _waiting(path: Path) -> list[tuple[str, int, int]]:
    """The clips of a tar that may break off: key, number of files, and where the clip ends."""
    found: list[tuple[str, int, int]] = []
    if not path.exists():
        return found
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place + _BLOCK <= size:
            file.seek(place)
            try:
                entry = tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "strict")
            except (tarfile.TarError, ValueError):
                break
            place += _BLOCK + entry.size + -entry.size % _BLOCK
            if place > size:
                break
            key = entry.name.partition(".")[0]
            count = found.pop()[1] + 1 if found and found[-1][0] == key else 1
            found.append((key, count, place))
    return found


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, io.SEEK_END)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                file.truncate(start + found + 1)
                return
            end = start


def _read(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        file.readline()
        for number, line in enumerate(file, 2):
            if not line.endswith(b"\n"):
                return
            try:
                values = json.loads(line)
                steps = tuple(Step(**step) for step in values.pop("steps"))
                yield Row(**values, steps=steps)
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{path} is damaged in line {number} ({show(str(error))}), "
                    "expected what a run wrote"
                ) from None


def _lock(path: Path, folder: Path) -> BinaryIO:
    """Only one run at a time writes to a folder; the lock ends with the process."""
    file = open(path, "ab")  # noqa: SIM115 - as long as the journal
    try:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows has no such locks
        pass
    except OSError:
        file.close()
        raise ValueError(f"another run is writing to {folder}, expected one at a time") from None
    return file
