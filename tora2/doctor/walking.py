"""Find weight files under a folder, within bounds."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ..fields import plain

SUFFIXES = frozenset({".safetensors", ".sft", ".pt", ".pth", ".bin", ".ckpt", ".gguf", ".onnx"})
INDEX = "model_index.json"
MAX_PATH = 1024
"""Characters of a path that are shown."""


@dataclass(frozen=True)
class Limits:
    """How much of a folder is looked at.

    Attributes:
        depth: of folders below the given one.
        entries: names that are listed at all.
        files: weight files that are looked into.
    """

    depth: int = 6
    entries: int = 50_000
    files: int = 2_000


@dataclass(frozen=True)
class Walk:
    """What was found by name alone.

    Attributes:
        files: weight files, nearest first.
        pipelines: folders with a model_index.json.
        notes: what was left out, a sentence each.
    """

    files: tuple[Path, ...]
    pipelines: tuple[Path, ...]
    notes: tuple[str, ...]


def walk(root: Path, limits: Limits, seen: set[tuple[int, int]]) -> Walk:
    """List a folder's weight files, each once.

    Links are followed, as model folders are often links; a file or folder that was seen before is
    passed over, so that loops end. Hidden folders, where downloads lie half done, are left out.

    Args:
        root: a folder.
        limits: where to stop.
        seen: device and inode of what was visited; added to.
    """
    files: list[Path] = []
    pipelines: list[Path] = []
    notes: list[str] = []
    queue = deque([(root, 0)])
    entries = 0
    deeper = False
    while queue:
        folder, depth = queue.popleft()
        try:
            if not _is_new(folder, seen):
                continue
            with os.scandir(folder) as listing:
                names = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            notes.append(f"{plain(str(folder), MAX_PATH)} cannot be listed: {reason}")
            continue
        entries += len(names)
        if entries > limits.entries:
            notes.append(f"{root} holds more than {limits.entries:,} names: the rest is left out")
            break
        for entry in names:
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if os.path.isdir(path):  # unlike the entry's own, it never raises
                deeper = deeper or depth == limits.depth
                if depth < limits.depth:
                    queue.append((path, depth + 1))
            elif entry.name == INDEX and os.path.isfile(path):
                pipelines.append(folder)
            elif path.suffix.lower() in SUFFIXES and _is_new_file(path, seen):
                files.append(path)
    if deeper:
        notes.append(f"{root}: folders deeper than {limits.depth} are left out")
    if len(files) > limits.files:
        notes.append(f"{root} holds {len(files):,} weight files: {limits.files:,} are looked into")
    return Walk(tuple(files[: limits.files]), tuple(pipelines), tuple(notes))


def _is_new(path: Path, seen: set[tuple[int, int]]) -> bool:
    status = path.stat()
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _is_new_file(path: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        return path.is_file() and _is_new(path, seen)
    except OSError:  # it went away, or a link leads nowhere
        return False
