"""Damaged checkpoints of every layout end in one sentence, quickly and in little memory."""

import os
import subprocess
import sys
from pathlib import Path

GENERATOR = Path(__file__).with_name("damaged_checkpoints.py")


def faults(folder: Path, seed: int, count: int) -> str:
    """What the generator found, in a process whose memory is its own."""
    process = subprocess.run(
        [sys.executable, str(GENERATOR), str(folder), str(seed), str(count)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    return process.stdout.strip() + process.stderr


def test_a_selection(tmp_path: Path) -> None:
    assert faults(tmp_path, seed=0, count=150) == ""
