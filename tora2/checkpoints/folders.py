"""Which files of a folder hold the weights that are asked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ..fields import load_json_file, plain, show
from .mapped import MAX_TENSORS
from .shards import shard_of
from .weights import AGAIN, Weights, read_file

MAX_INDEX = 8 * 1024 * 1024
MAX_FILES = 1000
UNFINISHED = (".incomplete", ".part", ".partial", ".aria2", ".crdownload", ".download")


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
            return _merged(path, _indexed(path), path.parent)
        return read_file(path)
    for place in places:
        folders = [path / name for name in place if (path / name).is_dir()]
        files = [file for folder in folders for file in _weight_files(folder)]
        if files:
            return _merged(path, files, folders[0])
    unfinished = [file.name for file in sorted(path.iterdir()) if file.suffix in UNFINISHED]
    if unfinished:
        raise ValueError(f"{path} holds an unfinished download ({plain(unfinished[0])}): {AGAIN}")
    raise ValueError(
        f"{path} is a folder without weights, expected .safetensors files, shards with an index, "
        "mp_rank_00_model_states.pt, or one of the folders transformer, fuser, traj_extractor"
    )


def _weight_files(folder: Path) -> list[Path]:
    """A folder's weights: what its index names, else its safetensors files, else SAT's."""
    indexes = sorted(folder.glob("*.safetensors.index.json"))
    if len(indexes) > 1:
        names = _some(indexes)
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
    content = load_json_file(index, MAX_INDEX)
    table = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(table, Mapping) or not table:
        raise ValueError(f"{index} has no weight_map, expected the index of a sharded checkpoint")
    names: set[str] = set()
    for name in table.values():
        if not isinstance(name, str) or not _is_file_name(name):
            raise ValueError(f"{index} names the shard {show(name)}, expected a file beside it")
        names.add(name)
    shards = [index.parent / name for name in sorted(names)]
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise ValueError(
            f"{index.parent} lacks {len(missing)} of {len(shards)} shards, "
            f"among them {plain(missing[0])}: {AGAIN}"
        )
    return shards


def _is_file_name(name: str) -> bool:
    """Whether a text names a file in the same folder, and no hidden one."""
    fair = 0 < len(name) <= 255 and name.isprintable()
    return fair and Path(name).name == name and "\\" not in name and name[0] != "."


def _check_shards(folder: Path, files: Iterable[Path]) -> None:
    shards = Counter(shard for file in files if (shard := shard_of(file)))
    for shard, count in shards.items():
        if count != shard.count:
            raise ValueError(
                f"{folder} has {count} of {shard.count} shards of {plain(shard.model)}: {AGAIN}"
            )


def _merged(path: Path, files: Sequence[Path], folder: Path) -> Weights:
    """The tensors of several files as one, with the folder's config.json."""
    if len(files) > MAX_FILES:
        raise ValueError(f"{path} has {len(files)} files of weights, expected at most {MAX_FILES}")
    tensors: dict[str, Tensor] = {}
    for file in files:
        part = read_file(file)
        for name, tensor in part.tensors.items():
            if name in tensors:
                raise ValueError(
                    f"{path} holds the tensor {show(name)} in several files ({_some(files)}), "
                    "so it is not clear which to load: name one file"
                )
            tensors[name] = tensor
        if len(tensors) > MAX_TENSORS:
            raise ValueError(f"{path} has more than {MAX_TENSORS} tensors")
    metadata = part.metadata if len(files) == 1 else {}
    config = folder / "config.json"
    content = load_json_file(config, MAX_INDEX) if config.is_file() else None
    if content is not None and not isinstance(content, Mapping):
        raise ValueError(f"{config} is {show(content)}, expected an object")
    return Weights(path, part.format, tensors, metadata, content)


def _some(files: Sequence[Path]) -> str:
    """The names of a few of some files."""
    more = ", …" if len(files) > 3 else ""
    return ", ".join(plain(file.name) for file in sorted(files)[:3]) + more
