"""Our own small modules as folders: config.json beside model.safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ..files import atomic_path

M = TypeVar("M", bound=nn.Module)


def save_module(module: Any, folder: Path, dtype: torch.dtype) -> None:
    """Write a module that has a dataclass `config`, in `dtype`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: x.detach().to(dtype).contiguous() for name, x in module.state_dict().items()}
    with atomic_path(folder / "model.safetensors") as temporary:
        temporary.write_bytes(save(tensors))
    write_json(folder / "config.json", vars(module.config))


def load_module(kind: type[M], config: type[Any], folder: Path) -> M:
    """Read a module written by `save_module`, in float32.

    Raises:
        ValueError: names the file that is missing or does not fit.
    """
    values = read_json(folder / "config.json")
    unknown = sorted(set(values) - set(config.__dataclass_fields__))
    if unknown:
        raise ValueError(f"{str(folder / 'config.json')!r} has unknown fields {unknown}")
    module = kind(config(**values))
    path = folder / "model.safetensors"
    try:
        module.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{str(path)!r} cannot be loaded: {reason}") from None
    return module


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; ValueError with the file's name otherwise."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{str(path)!r} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError(f"{str(path)!r} is not JSON") from None
    if not isinstance(values, dict):
        raise ValueError(f"{str(path)!r} is not a JSON object")
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
