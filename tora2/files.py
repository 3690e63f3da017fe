"""Files in and out: inputs are regular files, outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PathLike = str | os.PathLike[str]

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_LONGEST_SUFFIX = 32  # bytes; what is longer is no extension that a writer would go by
_PROBE = 1 << 20
_PAUSE = 0.2


@dataclass(frozen=True)
class _Place:
    """Where a file goes: `target` is replaced, or what is there is written `through`."""

    target: Path
    folder: Path  # of the temporary file
    old: os.stat_result | None = None
    through: bool = False


def regular_file(path: PathLike) -> Path:
    """The gate of every input file: opening what passes neither waits nor runs without end.

    Args:
        path: a file, or a link to one.

    Returns:
        The same path.

    Raises:
        OSError: if nothing is there, it is a folder, or it may not be looked at.
        ValueError: if it is a pipe, a socket or a device, or `path` holds a zero byte.
    """
    mode = _stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise ValueError(f"{os.fspath(path)} is {_kind(mode)}, expected a regular file")
    return Path(path)


def wait_for(path: Path) -> None:
    """Wait, however long, for a file that another process makes."""
    while not path.exists():
        time.sleep(_PAUSE)


def read_bounded(path: PathLike, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises:
        OSError: as `regular_file`, and if it cannot be read.
        ValueError: as `regular_file`, and if it is longer.
    """
    with regular_file(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{os.fspath(path)} is too long, expected at most {limit} bytes")
    return content


def check_writable(path: PathLike) -> None:
    """Refuse a path that `atomic_path` could not write, before long work is done for it.

    Raises:
        OSError, ValueError: as `atomic_path` on entering.
    """
    place = _place(path)
    try:
        tempfile.TemporaryFile(dir=place.folder).close()
    except OSError as error:
        raise _unwritable(path, error, place.folder) from error


@contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block succeeds.

    Only regular files are replaced. A link stays, and what it names is replaced (or made) in its
    own folder; mode and, where the system lets us, owner of what was there stay as well, and a new
    file gets the mode of the umask. A pipe or a character device (`/dev/null`, `/dev/stdout`) is
    written to when the block has succeeded, and remains what it is. Folders, sockets and block
    devices are refused.

    The temporary file keeps the suffix of `path`, so writers that go by the extension work. Its
    content reaches the disk before it takes the place, so that not even a power cut leaves half a
    file under the name. On any exception, `KeyboardInterrupt` included, it is removed and `path`
    stays as it was.

    Args:
        path: the file to write; its folder must exist.

    Yields:
        An existing empty file, beside what it replaces, for the block to fill or replace.

    Raises:
        OSError: if the folder is missing or not writable, `path` may not be written, leads in a
            circle or is none of what is written to, nobody reads the pipe, or the disk refuses
            more: also where the block's own writer raised something of its own for that.
        ValueError: if `path` holds a zero byte.
    """
    place = _place(path)
    suffix = place.target.suffix
    if len(os.fsencode(suffix)) > _LONGEST_SUFFIX:
        suffix = ""
    name = f".{place.target.stem[:40]}-{secrets.token_hex(6)}{suffix}"
    temporary = place.folder / name
    try:
        temporary.open("xb").close()
        mode = stat.S_IMODE(temporary.stat().st_mode)
        if place.old is not None:
            mode = stat.S_IMODE(place.old.st_mode)
            temporary.chmod(mode)  # what is private is so while it is written, too
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error, place.folder) from error
    try:
        yield temporary
        if place.through:
            _pour(temporary, path)
        else:
            _finish(temporary, mode, place.old)
            os.replace(temporary, place.target)
    except OSError as error:
        if error.errno is None:  # a writer's own words, such as numpy's on a full disk
            _ask_the_disk(temporary, path, error)
        elif error.filename in (None, os.fspath(temporary)):  # a full disk names no file
            error.filename, error.filename2 = os.fspath(path), None
        raise
    except ValueError:  # what was to be written is wrong, not where
        raise
    except Exception as error:  # writers in other languages lose the system's error number
        _ask_the_disk(temporary, path, error)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _place(path: PathLike) -> _Place:
    """See `atomic_path`."""
    name = os.fspath(Path(path))  # "" is the folder "."
    target = Path(_real(name))
    try:
        old = _stat(name)
    except FileNotFoundError:  # nothing is there, or a link to nothing
        return _Place(target, target.parent)
    except OSError as error:
        raise _unwritable(path, error, Path(name).parent) from error
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(f"cannot write {name}: it is a folder, expected a file name")
    if not os.access(name, os.W_OK):
        refusal = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise _unwritable(path, refusal, target.parent)
    # Behind /dev/stdout may be a file that has lost its name: that is written to as well.
    named = target.exists() and os.path.samestat(target.stat(), old)
    if stat.S_ISREG(old.st_mode) and named:
        return _Place(target, target.parent, old)
    if stat.S_ISREG(old.st_mode) or stat.S_ISCHR(old.st_mode) or stat.S_ISFIFO(old.st_mode):
        return _Place(Path(name), Path(tempfile.gettempdir()), through=True)
    raise OSError(f"cannot write {name}: it is {_kind(old.st_mode)}, expected a file name")


def _stat(path: PathLike) -> os.stat_result:
    try:
        return os.stat(path)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} is no file name: {error}") from None


def _real(path: PathLike) -> str:
    """Where the links end; a circle is left for `stat` to refuse."""
    try:
        return os.path.realpath(path)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} is no file name: {error}") from None


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no file")


def _finish(temporary: Path, mode: int, old: os.stat_result | None) -> None:
    """Give the written file the owner and mode it must have, and see it to the disk."""
    if old is not None and hasattr(os, "chown"):
        with suppress(OSError):  # only root gives files away
            os.chown(temporary, old.st_uid, old.st_gid)
    with temporary.open("ab") as file:
        os.fsync(file.fileno())
    temporary.chmod(mode)  # last: a writer may have put a file of its own there


def _pour(temporary: Path, path: PathLike) -> None:
    """Write the finished content to a pipe or device, which must not make us wait to open it."""
    try:
        handle = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(f"cannot write {os.fspath(path)}: nobody reads this pipe") from error
        raise
    if hasattr(os, "set_blocking"):
        os.set_blocking(handle, True)
    with temporary.open("rb") as source, open(handle, "wb") as sink:
        shutil.copyfileobj(source, sink)


def _ask_the_disk(temporary: Path, path: PathLike, error: Exception) -> None:
    """Raise the system's own refusal, if that is what made a writer fail; else return.

    Rust names its number. For others the file is made to grow, which a full disk refuses again.
    What names the file already is a sentence as it is.
    """
    if os.fspath(path) in str(error):
        return
    if named := re.search(r"(?:os error |Os \{ code: )(\d+)", str(error)):
        number = int(named[1])
        raise OSError(number, os.strerror(number), os.fspath(path)) from error
    try:
        with temporary.open("ab") as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as refusal:
        refusal.filename = os.fspath(path)
        raise refusal from error


def _unwritable(path: PathLike, error: OSError, folder: Path) -> OSError:
    reason = (error.strerror or str(error)).lower()
    return type(error)(f"cannot write {os.fspath(path)}: {reason} (folder {folder})")
