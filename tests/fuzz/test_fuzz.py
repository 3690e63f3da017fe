"""Damaged input of every kind ends in one sentence or a right result, and touches nothing else.

A few of some kinds run always, and all of a count with `pytest -m fuzz`, which prints a table with
`-s`. What hangs or dies is a fault; so is more than 5 s of the processor, or 2 GB.
"""

import sys
from pathlib import Path

import kinds
import pytest
from harness import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watches files as Linux does")


def judged(kind: str, folder: Path, seed: int, count: int) -> None:
    if kind == "networks":
        pytest.importorskip("onnx", reason="the onnx package makes the hostile files")
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    if kind in ("configurations", "run folders"):
        pytest.importorskip("matplotlib", reason="training draws its curves with it")
    tally = run(kind, folder / "fuzz", seed, count)
    print(tally.row())
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.cases == count and tally.refused


@pytest.mark.parametrize("kind", [name for name, kind in kinds.KINDS.items() if kind.few])
def test_a_selection(tmp_path: Path, kind: str) -> None:
    judged(kind, tmp_path, seed=0, count=kinds.KINDS[kind].few)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", [name for name, kind in kinds.KINDS.items() if kind.count])
def test_all(tmp_path: Path, kind: str) -> None:
    judged(kind, tmp_path, seed=1, count=kinds.KINDS[kind].count)


def test_the_guard_sees(tmp_path: Path) -> None:
    """What the worker must notice, it does notice."""
    tally = run("canaries", tmp_path / "fuzz", seed=0, count=len(kinds.CANARIES))
    for name, said in zip(kinds.CANARIES, tally.faults, strict=True):
        assert said.startswith(name) and kinds.CANARIES[name] in said, said
