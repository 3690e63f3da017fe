"""How one model's files are named where it lies in several."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})")


@dataclass(frozen=True)
class Shard:
    """What the name of a shard tells: the model's own name, and in how many files it lies."""

    model: str
    count: int


def shard_of(file: str | os.PathLike[str]) -> Shard | None:
    """What a file such as `model-00001-of-00002.safetensors` is a shard of, or None."""
    match = _SHARD.fullmatch(Path(file).stem)
    return Shard(match[1], int(match[2])) if match else None
