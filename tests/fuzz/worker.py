"""One process that gives damaged input to our readers: `worker.py KIND FOLDER SEED FIRST COUNT`.

It prints a line of JSON when a case begins and another when it has ended, so that whoever started
it knows which case it hangs in or dies of. In FOLDER lie `room`, where it works, and `outside`,
which nothing may look at.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import io
import json
import os
import re
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

LENGTH = 600  # characters of a sentence
SECONDS = 5.0  # of the processor
_TOO_MUCH = re.compile(r"out of memory|too little memory for this")
_STARTS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "socket.connect",
)
_IN_OPEN, _IN_CREATE, _IN_DELETE, _IN_MODIFY, _IN_NONBLOCK = 0x20, 0x100, 0x200, 0x2, 0o4000

Read = Callable[[Path], object]


class Guard:
    """Notices what a reader must not do: start processes, connect, write or look elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.room, self.outside = str(folder / "room"), str(folder / "outside")
        self.seen: list[str] = []
        self.armed = False
        libc = ctypes.CDLL(None)
        self._notes = libc.inotify_init1(_IN_NONBLOCK)
        mask = _IN_OPEN | _IN_CREATE | _IN_DELETE | _IN_MODIFY
        if libc.inotify_add_watch(self._notes, self.outside.encode(), mask) < 0:
            raise OSError("cannot watch the canary's folder")
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event in _STARTS:
            self.seen.append(f"{event} {args!r:.200}")
        elif event == "import" and args[0] == "evil":
            self.seen.append("imported evil")
        elif event == "open" and isinstance(args[0], str | bytes):
            path = os.path.abspath(os.fsdecode(args[0]))
            flags = args[2] if isinstance(args[2], int) else 0
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not path.startswith((self.room, "/dev/", "/proc/")):
                self.seen.append(f"wrote {path:.200}")

    def look(self) -> list[str]:
        """What was seen since the last look, the canaries' own tale included."""
        found, self.seen = self.seen, []
        try:
            while data := os.read(self._notes, 4096):
                for name in re.findall(rb"(?:secret|model)[.\w]+", data):  # not the folder itself
                    found.append(f"touched outside/{name.decode()}")
        except BlockingIOError:
            pass
        beside = sorted(os.listdir(os.path.dirname(self.room)))
        if beside != ["outside", "room"]:
            found.append(f"beside the room lie {beside}")
        if os.path.exists(os.path.join(self.room, "ran")):
            found.append("ran code")
            os.unlink(os.path.join(self.room, "ran"))
        return found


def peak(reset: bool = False) -> int:
    """MiB of memory at most since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) >> 10 if found else 0


def sentence(text: str) -> str:
    """What is wrong with a refusal; empty if nothing is."""
    if not text or not text.isprintable():
        return f"not one printable line: {text[:LENGTH]!r}"
    if len(text) > LENGTH:
        return f"{len(text)} characters: {text[:LENGTH]!r}"
    return f"took memory: {text!r}" if _TOO_MUCH.search(text) else ""


def attempt(read: Read, path: Path) -> tuple[str, str]:
    """`right` or `refused` and the sentence, or `fault` and what it is."""
    try:
        read(path)
    except (ValueError, OSError) as error:
        wrong = sentence(str(error))
        return ("fault", wrong) if wrong else ("refused", str(error))
    except BaseException:
        return "fault", traceback.format_exc(limit=-3)
    return "right", ""


class Refused(ValueError):
    """What the command line said before it ended with 2."""


def command(*arguments: str, good: str = "") -> None:
    """Run a command in this process.

    Raises:
        Refused: if it ends with 2, and the sentence has not `good` in it.
        AssertionError: if it ends otherwise or says more than a sentence.
    """
    from tora2.cli import main

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:  # how argparse ends
            status = int(end.code or 0)
    assert status in (0, 2), f"exit {status}"
    if status:
        last = err.getvalue().rpartition("tora2")[2].partition(": ")[2].removesuffix("\n")
        if not good or good not in last:
            raise Refused(last)


@contextmanager
def placed(room: Path, base: Path | None, files: dict[str, bytes | None]) -> Iterator[Path]:
    """The case's files in `room/case`, over those of `base`, which is whole again afterwards."""
    place, kept = room / "case", room / "kept"
    moved: list[Path] = []
    for name, content in files.items():
        file = place / name
        if base is not None and file.exists():
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            file.rename(kept / name)
            moved.append(Path(name))
        if content is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    try:
        yield place
    finally:
        if base is None:
            shutil.rmtree(place)
        else:
            for name in files:
                file = place / name
                shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
            for path in moved:
                (kept / path).rename(place / path)


def main(kind: str, folder: Path, seed: int, first: int, count: int) -> None:
    import kinds

    room = folder / "room"
    answers = os.fdopen(os.dup(1), "w")
    os.chdir(room)
    chosen = kinds.KINDS[kind]
    base = room / "case" if chosen.prepare else None
    if chosen.prepare and not base.exists():  # type: ignore[union-attr]
        chosen.prepare(room / "case")
    (room / "case").mkdir(exist_ok=True)
    guard = Guard(folder)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = size + (4 << 30)  # of addresses, of which a case fills the half at most
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    if chosen.disk is not None:
        importlib.import_module("torch._dynamo")  # does not survive an import on a full disk
    gc.freeze()
    # What a reader imports when it is first used is not what a case takes.
    warm = True
    for number, (name, given) in enumerate(islice(chosen.cases(seed, count), first, None), first):
        files = given if isinstance(given, dict) else {chosen.name: given}
        print(json.dumps({"begins": number, "name": name}), file=answers, flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        said: dict[str, Any] = {"ends": number, "name": name, "faults": [], "outcome": "right"}
        with placed(room, base, files) as place:
            if chosen.disk is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (chosen.disk, resource.RLIM_INFINITY))
            if warm:
                for _, read in chosen.readers:
                    attempt(read, place)
                gc.freeze()
                guard.look()
                warm = False
            gc.collect()
            before = peak(reset=True)
            began, used = time.monotonic(), time.process_time()
            for reader, read in chosen.readers:
                guard.armed = True
                outcome, text = attempt(read, place)
                guard.armed = False
                if outcome == "fault":
                    said["faults"].append(f"{reader}: {text}")
                elif outcome == "refused":
                    said["outcome"] = "refused"
                    said["sentence"] = text[:300]
                said["faults"] += [f"{reader}: {what}" for what in guard.look()]
            said["seconds"] = time.monotonic() - began
            used = time.process_time() - used
            said["mib"] = peak() - before
            if used > SECONDS:
                said["faults"].append(f"took {used:.1f} s of the processor")
            if said["mib"] > chosen.mib:
                said["faults"].append(f"took {said['mib']} MiB")
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve(), *map(int, sys.argv[3:]))
