"""Where entity files are kept: the input folder, and a folder of the output folder."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ...tora2.fields import refuse
from . import files

FOLDER = "tora2/entities"
_SUFFIX = ".safetensors"
_OUTPUT = " [output]"  # the host's own mark of a file in the output folder


def choices() -> list[str]:
    """Entity files, those of the output folder marked as the host marks them."""
    kept = Path(folder_paths.get_output_directory()) / FOLDER
    found = sorted(
        path.relative_to(kept.parents[1]).as_posix() for path in kept.rglob(f"*{_SUFFIX}")
    )
    return [*files.input_files((_SUFFIX,)), *(name + _OUTPUT for name in found)]


def locate(name: object) -> str:
    """The path of one of `choices`.

    Raises:
        ValueError: if it is no name, leaves its folder, or is missing.
    """
    if not isinstance(name, str):
        raise refuse("file", name, "a file of the input folder or of the output folder")
    if not name.endswith(_OUTPUT):
        return files.input_file(name)
    base = os.path.realpath(folder_paths.get_output_directory())
    path = os.path.realpath(os.path.join(base, name.removesuffix(_OUTPUT).replace("\0", "")))
    if not path.startswith(base + os.sep) or not os.path.isfile(path):
        raise refuse("file", name, f"one that is in the output folder {base}")
    return path
