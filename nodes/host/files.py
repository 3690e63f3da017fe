"""Model files in the host's folders, `extra_model_paths.yaml` included."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import folder_paths

from ...tora2.checkpoints.shards import shard_of
from ...tora2.checkpoints.sources import Source, terms

ADAPTERS = "tora2"
TRANSFORMERS = "diffusion_models"
USED = (
    TRANSFORMERS,
    ADAPTERS,
    "text_encoders",
    "vae",
    "clip_vision",
    "insightface",
    "detection",
)

_SHARDED = (".safetensors", ".bin")


def register_folders() -> None:
    """Make `models/tora2` a model folder; a user's own paths for it stay."""
    folder_paths.add_model_folder_path(ADAPTERS, os.path.join(folder_paths.models_dir, ADAPTERS))
    paths, _ = folder_paths.folder_names_and_paths[ADAPTERS]
    extensions = folder_paths.supported_pt_extensions
    folder_paths.folder_names_and_paths[ADAPTERS] = (paths, extensions)


def choices(folder: str) -> list[str]:
    """Files of a model folder, and the folders that hold a model in shards."""
    names: dict[str, None] = {}
    for name in folder_paths.get_filename_list(folder):
        parent = os.path.dirname(name)
        sharded = name.endswith(_SHARDED) and shard_of(name)
        names[parent if parent and sharded else name] = None
    return list(names)


def locate(folder: str, name: str, published: Iterable[Source], note: str = "") -> str:
    """The path of one of `choices`.

    Raises:
        ValueError: lists the folders that were searched, and where such files are published.
    """
    if name in choices(folder):
        for base in folder_paths.get_folder_paths(folder):
            path = os.path.join(base, name)
            if os.path.exists(path):
                return path
    raise ValueError(f"{name!r} is not there. {where(folder, published, note)}")


def where(folder: str, published: Iterable[Source], note: str = "") -> str:
    """In words, which folders are searched, and where files for them are published."""
    given = tuple(published)
    searched = ", ".join(folder_paths.get_folder_paths(folder))
    places = "; ".join(map(str, given))
    words = f"Searched are {searched}." + (f" Published are: {places}." if given else "")
    return " ".join((words, *terms(given), *([note] if note else ())))


def searched() -> list[Path]:
    """The host's folders that may hold anything of ours; our own also where it is not there yet."""
    paths: dict[str, None] = {}
    for kind in USED:
        known = kind in folder_paths.folder_names_and_paths
        default = [os.path.join(folder_paths.models_dir, kind)]
        given = folder_paths.get_folder_paths(kind) if known else default
        paths |= {path: None for path in given if kind == ADAPTERS or os.path.isdir(path)}
    return [Path(path) for path in paths]


def output_path(prefix: str, extension: str, base: Path | None = None) -> tuple[str, str, str]:
    """A new file in the output folder, or in another `base`: its path, name and subfolder.

    Raises:
        ValueError: if the prefix leaves that folder.
    """
    check_prefix(prefix)
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory() if base is None else str(base)
    )
    file = f"{name}_{counter:05}_{extension}"
    return os.path.join(folder, file), file, subfolder


def check_prefix(prefix: str) -> None:
    """Refuse a file name prefix that would leave the output folder."""
    parts = prefix.replace("\\", "/").split("/")
    if prefix.startswith(("/", "\\")) or ".." in parts or ":" in prefix or "\0" in prefix:
        raise ValueError(
            f"filename_prefix is {prefix[:60]!r}, expected a name inside the output folder"
        )


def input_file(name: str) -> str:
    """The path of a file in the input folder.

    Raises:
        ValueError: if it is outside of that folder, or missing.
    """
    base = os.path.realpath(folder_paths.get_input_directory())
    path = os.path.realpath(os.path.join(base, name)) if "\0" not in name else ""
    if not path.startswith(base + os.sep):
        raise ValueError(f"file is {name[:60]!r}, expected a name inside the input folder {base}")
    if not os.path.isfile(path):
        raise ValueError(f"file is {name[:60]!r}, which is not in the input folder {base}")
    return path


def input_files(extensions: tuple[str, ...]) -> list[str]:
    """Names of the files at the top of the input folder with one of the extensions."""
    base = folder_paths.get_input_directory()
    if not os.path.isdir(base):
        return []
    return sorted(
        entry.name
        for entry in os.scandir(base)
        if entry.is_file() and entry.name.lower().endswith(extensions)
    )
