"""Where entity files are kept: the input folder, a folder of the output folder, and, on a
`--multi-user` host, one of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ...tora2.fields import refuse
from . import files, users

FOLDER = "tora2/entities"
_SUFFIX = ".safetensors"
_OUTPUT = " [output]"  # the host's own mark of a file in the output folder
_USER = " [user]"


def choices() -> list[str]:
    """Entity files; those of the output folder and of the user's are marked."""
    own = users.folder()
    kept = [] if own is None else _kept(own, _USER)
    shared = _kept(Path(folder_paths.get_output_directory()), _OUTPUT)
    return [*kept, *files.input_files((_SUFFIX,)), *shared]


def _kept(base: Path, mark: str) -> list[str]:
    found = sorted((base / FOLDER).rglob(f"*{_SUFFIX}"))
    return [path.relative_to(base).as_posix() + mark for path in found]


def locate(name: object) -> str:
    """The path of one of `choices`.

    Raises:
        ValueError: if it is no name, leaves its folder, or is missing.
    """
    if not isinstance(name, str):
        raise refuse("file", name, "a file of the input folder or of the output folder")
    own = users.folder()
    if own is not None and name.endswith(_USER):
        base = os.path.realpath(own / FOLDER)
        path = _below(own, name.removesuffix(_USER))
        if not path.startswith(base + os.sep) or not os.path.isfile(path):
            raise refuse("file", name, f"one of your own in {FOLDER}")
        return path
    if not name.endswith(_OUTPUT):
        return files.input_file(name)
    base = os.path.realpath(folder_paths.get_output_directory())
    path = _below(base, name.removesuffix(_OUTPUT))
    if not path.startswith(base + os.sep) or not os.path.isfile(path):
        raise refuse("file", name, f"one that is in the output folder {base}")
    return path


def _below(base: str | os.PathLike[str], name: str) -> str:
    return os.path.realpath(os.path.join(base, name.replace("\0", "")))


def new_path(prefix: str) -> tuple[str, str]:
    """A new file below the user's own folder, or the output folder; its path and name.

    Raises:
        ValueError: if the prefix leaves that folder.
    """
    path, name, subfolder = files.output_path(prefix, _SUFFIX, users.folder())
    return path, Path(subfolder, name).as_posix()


def owner() -> str:
    """Changes with the user, so that what one has saved or loaded is not another's result."""
    return users.current() or ""
