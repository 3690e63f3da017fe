"""The folder of a run: held by one process at a time, and by one configuration for good."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..files import atomic_path
from .distributed import World

_LOCK, _RECORD = "run.lock", "config.json"


@contextmanager
def run_folder(path: Path | str, settings: Mapping[str, Any]) -> Iterator[Path]:
    """Make a run's folder and hold it.

    Args:
        path: of the folder.
        settings: of the run, as JSON has them; recorded in the folder.

    Raises:
        ValueError: if another process works there, or the folder holds a run of other settings.
        OSError: if the folder cannot be made or written to.
    """
    with held(path) as folder:
        _claim(folder, json.loads(json.dumps(settings)))
        yield folder


@contextmanager
def shared_folder(path: Path | str, settings: Mapping[str, Any], us: World) -> Iterator[Path]:
    """`run_folder` of several processes: the first holds it for all.

    Raises:
        ValueError, OSError: as `run_folder`, in the first process.
    """
    if us.first:
        with run_folder(path, settings) as folder:
            us.wait()
            yield folder
    else:
        us.wait()
        yield Path(path)


@contextmanager
def held(path: Path | str) -> Iterator[Path]:
    """Make a folder and hold it as long as the block lasts and this process lives.

    Raises:
        ValueError: if another process holds it.
        OSError: if the folder cannot be made or written to.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _lock(descriptor):
            raise ValueError(
                f"another run is working in {str(folder)!r}; "
                "wait for its end or choose another output"
            )
        yield folder
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file; the lock ends with the process, however that ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder that a run of other settings has written to."""
    record = folder / _RECORD
    if record.exists():
        try:
            earlier = json.loads(record.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise ValueError(
                f"{str(record)!r} is damaged; choose another output, or remove it if the run there "
                "has this configuration"
            ) from None
        if earlier != settings:
            raise ValueError(
                f"{str(folder)!r} holds a run of another configuration; "
                "choose another output or remove it"
            )
        return
    with atomic_path(record) as temporary:
        temporary.write_text(json.dumps(settings, indent=2), encoding="utf-8")
