"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block succeeds.

    The temporary file keeps the suffix of `path`, so writers that go by the extension work. On any
    exception, `KeyboardInterrupt` included, it is removed and `path` stays as it was.

    Args:
        path: the file to write; its folder must exist.

    Yields:
        An existing empty file in the same folder, for the block to fill or replace.

    Raises:
        OSError: if the folder is missing or not writable, or `path` is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {target}: it is a folder, expected a file name")
    temporary = target.with_name(f".{target.stem[:40]}.{secrets.token_hex(6)}{target.suffix}")
    try:
        temporary.open("xb").close()
        mode = temporary.stat().st_mode
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise type(error)(f"cannot write {target}: {reason} (folder {target.parent})") from error
    try:
        yield temporary
        temporary.chmod(mode)  # a writer may have put a file of its own there
        os.replace(temporary, target)
    except OSError as error:
        ours = error.filename in (None, os.fspath(temporary))  # a full disk names no file
        if error.errno is not None and ours:
            error.filename = os.fspath(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def regular_file(path: str | os.PathLike[str]) -> Path:
    """The gate of every input file: opening what passes neither waits nor runs without end.

    Args:
        path: a file, or a link to one.

    Returns:
        The same path.

    Raises:
        OSError: if nothing is there, it is a folder, or it may not be looked at.
        ValueError: if it is a pipe, a socket or a device, or `path` holds a zero byte.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise ValueError(f"{os.fspath(path)} is {kind}, expected a regular file")
    return Path(path)
