"""Several files that appear together or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ...files import atomic_path


def write_all(texts: Mapping[Path, str]) -> list[Path]:
    """Write texts as UTF-8: all of them, or on any failure none, and what was there stays.

    Args:
        texts: by the file each goes to, all in one folder.

    Raises:
        OSError: if one of them cannot be written.
    """
    with _kept(texts), ExitStack() as files:  # nothing takes its place before all are written
        for path, text in texts.items():
            files.enter_context(atomic_path(path)).write_bytes(text.encode())
    return list(texts)


@contextmanager
def _kept(paths: Iterable[Path]) -> Iterator[None]:
    """Put files back as they were if the block fails; a single one is never half done."""
    paths = list(paths)
    if len(paths) < 2:
        yield
        return
    with ExitStack() as stack:
        kept: dict[Path, Path] = {}
        there = [path for path in paths if path.is_file()]
        if there:
            beside = tempfile.TemporaryDirectory(prefix=".", dir=there[0].parent)
            folder = Path(stack.enter_context(beside))
            kept = {path.resolve(): _copied(path, folder / path.name) for path in there}
        new = [path for path in paths if not os.path.lexists(path)]
        try:
            yield
        except BaseException:
            for path in new:
                path.unlink(missing_ok=True)
            for path, copy in kept.items():
                os.replace(copy, path)
            raise


def _copied(path: Path, copy: Path) -> Path:
    try:
        os.link(path.resolve(), copy)
    except OSError:  # a file system without links
        shutil.copy2(path, copy)
    return copy
