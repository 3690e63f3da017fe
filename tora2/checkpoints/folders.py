"""Which files of a folder hold the weights that are asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from ..fields import load_json, show
from .weights import AGAIN, Weights, read_file

MAX_INDEX = 32 * 1024 * 1024
UNFINISHED = (".incomplete", ".part", ".partial", ".aria2", ".crdownload", ".download")

_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})")


def read_adapter_weights(path: str | os.PathLike[str]) -> Weights:
    """The weights an adapter may lie in: a file, or a folder's own, split or transformer files.

    Raises:
        ValueError: as `read_file`, and if a folder holds no weights, misses a shard, or holds the
            same tensors twice.
        OSError: if there is nothing at `path`.
    """
    return _read(path, (("",), ("fuser", "traj_extractor"), ("transformer",)))


def read_transformer_weights(path: str | os.PathLike[str]) -> Weights:
    """The weights a transformer may lie in: a file, a folder, or a pipeline's folder.

    Raises:
        ValueError, OSError: as `read_adapter_weights`.
    """
    return _read(path, (("transformer",), ("",)))


def _read(path: str | os.PathLike[str], places: Iterable[tuple[str, ...]]) -> Weights:
    path = Path(path)
    if not path.is_dir():
        if path.name.endswith(".index.json") and path.is_file():
            return _merged(path, [read_file(file) for file in _indexed(path)], path.parent)
        return read_file(path)
    for place in places:
        folders = [path / name for name in place if (path / name).is_dir()]
        files = [file for folder in folders for file in _weight_files(folder)]
        if files:
            return _merged(path, [read_file(file) for file in files], folders[0])
    unfinished = [file.name for file in sorted(path.iterdir()) if file.suffix in UNFINISHED]
    if unfinished:
        raise ValueError(f"{path} holds an unfinished download ({unfinished[0]}): {AGAIN}")
    raise ValueError(
        f"{path} is a folder without weights, expected .safetensors files, shards with an index, "
        "mp_rank_00_model_states.pt, or one of the folders transformer, fuser, traj_extractor"
    )


def _weight_files(folder: Path) -> list[Path]:
    """A folder's weights: what its index names, else its safetensors files, else SAT's."""
    indexes = sorted(folder.glob("*.safetensors.index.json"))
    if len(indexes) > 1:
        names = ", ".join(index.name for index in indexes)
        raise ValueError(f"{folder} has several indexes ({names}), expected one: name a file")
    if indexes:
        return _indexed(indexes[0])
    files = [file for file in sorted(folder.glob("*.safetensors")) if file.name[0] != "."]
    _check_shards(folder, files)
    return files or sorted(
        {*folder.glob("*.pt"), *folder.glob("*/mp_rank_00_model_states.pt")}  # SAT: <step>/…
    )


def _indexed(index: Path) -> list[Path]:
    """The shards that an index names, all of them there."""
    if index.stat().st_size > MAX_INDEX:
        raise ValueError(f"{index} has {index.stat().st_size} bytes, expected at most {MAX_INDEX}")
    content = load_json(index.read_bytes(), str(index), MAX_INDEX)
    table = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(table, Mapping) or not table:
        raise ValueError(f"{index} has no weight_map, expected the index of a sharded checkpoint")
    names = set(table.values())
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or "\\" in name or name[:1] == ".":
            raise ValueError(f"{index} names the shard {show(name)}, expected a file beside it")
    shards = [index.parent / name for name in sorted(names)]
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise ValueError(
            f"{index.parent} lacks {len(missing)} of {len(shards)} shards, "
            f"among them {missing[0]}: {AGAIN}"
        )
    return shards


def _check_shards(folder: Path, files: Iterable[Path]) -> None:
    matches = [match for file in files if (match := _SHARD.fullmatch(file.stem))]
    for match in matches:
        count = sum(other[1] == match[1] and other[3] == match[3] for other in matches)
        if count != int(match[3]):
            raise ValueError(
                f"{folder} has {count} of {int(match[3])} shards of {match[1]}: {AGAIN}"
            )


def _merged(path: Path, parts: list[Weights], folder: Path) -> Weights:
    tensors: dict[str, Tensor] = {}
    for part in parts:
        for name, tensor in part.tensors.items():
            if name in tensors:
                files = ", ".join(sorted(other.path.name for other in parts))
                raise ValueError(
                    f"{path} holds the tensor {show(name)} in several files ({files}), "
                    "so it is not clear which to load: name one file"
                )
            tensors[name] = tensor
    metadata = parts[0].metadata if len(parts) == 1 else {}
    config = folder / "config.json"
    content = load_json(config.read_bytes(), str(config), MAX_INDEX) if config.is_file() else None
    if content is not None and not isinstance(content, Mapping):
        raise ValueError(f"{config} is {show(content)}, expected an object")
    return Weights(path, parts[0].format, tensors, metadata, content)
