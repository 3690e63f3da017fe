"""Damaged input at scale: `python tests/fuzz/harness.py KIND SEED COUNT` prints what became of it.

The cases run in a process of their own, below a folder of their own. Where it hangs or dies, that
is the case's fault, and another process goes on with the next one.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
HANGS = 90.0  # seconds without a word
PATHS = (HERE.parents[1], HERE, HERE.parent / "core")


@dataclass
class Tally:
    """What became of the cases of one kind."""

    kind: str
    seed: int
    cases: int = 0
    refused: int = 0
    right: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    longest: float = 0.0
    mib: int = 0

    def row(self) -> str:
        """Of a table in Markdown."""
        return (
            f"| {self.kind} | {self.seed} | {self.cases} | {self.refused} | {self.right} | "
            f"{len(self.faults)} | {self.seconds:.0f} | {self.longest:.1f} | {self.mib} |"
        )


def run(kind: str, folder: Path, seed: int, count: int, within: float | None = None) -> Tally:
    """Give `count` cases to their readers, or as many as `within` seconds allow."""
    for name in ("room/tmp", "outside"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "outside" / "secret.json").write_text("{}")
    (folder / "outside" / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    tally = Tally(kind, seed)
    began = time.monotonic()
    at = 0
    while at < count and (within is None or time.monotonic() - began < within):
        at = _process(tally, folder, at, count, None if within is None else began + within)
    tally.seconds = time.monotonic() - began
    return tally


def _process(tally: Tally, folder: Path, at: int, count: int, until: float | None) -> int:
    """Cases from `at` on in one process; the number of the first that is left."""
    path = os.pathsep.join(map(str, PATHS))
    temporary = str(folder / "room" / "tmp")
    with (folder.parent / f"{folder.name}-errors.txt").open("w+") as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                str(HERE / "worker.py"),
                tally.kind,
                str(folder),
                *map(str, (tally.seed, at, count)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"PYTHONPATH": path, "TMPDIR": temporary, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        name, begun = "", at - 1
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(HANGS):
                    why = f"hangs for {HANGS:.0f} s"
                    process.kill()
                    break
                line = process.stdout.readline()
                if not line:
                    errors.seek(0, os.SEEK_END)
                    errors.seek(max(0, errors.tell() - 1500))
                    why = f"ends the process with {process.wait()}: {errors.read()}"
                    break
                said = json.loads(line)
                if "begins" in said:
                    name, begun = said["name"], said["begins"]
                    continue
                _count(tally, said)
                at = said["ends"] + 1
                if until is not None and time.monotonic() > until:
                    process.kill()
                    break
        process.wait()
    if at == count or (until is not None and time.monotonic() > until):
        return at
    if begun < at:
        raise RuntimeError(f"{tally.kind} cannot run: {why}")
    tally.cases += 1
    tally.faults.append(f"{name}: {why}")
    return begun + 1


def _count(tally: Tally, said: dict) -> None:
    tally.cases += 1
    tally.longest = max(tally.longest, said["seconds"])
    tally.mib = max(tally.mib, said["mib"])
    if said["faults"]:
        tally.faults.append(f"{said['name']}: {'; '.join(said['faults'])}")
    elif said["outcome"] == "right":
        tally.right += 1
    else:
        tally.refused += 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        limit = float(sys.argv[4]) if len(sys.argv) > 4 else None
        tally = run(sys.argv[1], Path(place) / "fuzz", int(sys.argv[2]), int(sys.argv[3]), limit)
    print(*tally.faults, sep="\n")
    print("| kind | seed | cases | refused | right | faults | seconds | longest s | MiB |")
    print(tally.row())
    sys.exit(bool(tally.faults))
