"""Our own small modules as folders: config.json beside model.safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import torch
from safetensors.torch import save
from torch import nn

from ..fields import integer, load_json, mapping, number, refuse
from ..files import atomic_path
from .assigning import assign
from .weights import read_file

MAX_JSON = 16 * 1024 * 1024
MAX_SIZE = 8192
MAX_LAYERS = 256

M = TypeVar("M", bound=nn.Module)


def save_module(module: Any, folder: Path, dtype: torch.dtype) -> None:
    """Write a module that has a dataclass `config`, in `dtype`; its weights come last."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: x.detach().to(dtype).contiguous() for name, x in module.state_dict().items()}
    write_json(folder / "config.json", asdict(module.config))
    with atomic_path(folder / "model.safetensors") as temporary:
        temporary.write_bytes(save(tensors))


def load_module(kind: type[M], config: type[Any], folder: Path) -> M:
    """Read a module written by `save_module`, in float32.

    Nothing is allocated for it but what its file holds.

    Args:
        kind: of the module, made from its configuration alone.
        config: a dataclass of integers, floats and choices that all have defaults.
        folder: holds config.json and model.safetensors.

    Raises:
        ValueError: names the file that is missing or does not fit, and the value.
    """
    values = read_config(config, folder / "config.json")
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ValueError(f"{str(weights)!r} does not exist, expected the weights of the model")
    with torch.device("meta"):
        module = kind(values)
    tensors = {name: tensor.clone() for name, tensor in read_file(weights).tensors.items()}
    assign(module, tensors, weights, torch.float32)
    return module


def read_config(config: type[Any], path: Path) -> Any:
    """A dataclass of numbers and choices from a JSON file; absent fields keep their default.

    Raises:
        ValueError: names the file, and the field that is unknown, of another type or out of bounds.
    """
    defaults, kinds = asdict(config()), get_type_hints(config)
    content = read_json(path)
    values: dict[str, Any] = {}
    try:
        for name, value in mapping(content, "", (), defaults).items():
            if get_origin(kinds[name]) is Literal:
                if value not in get_args(kinds[name]):
                    raise refuse(name, value, f"one of {', '.join(get_args(kinds[name]))}")
                values[name] = value
            elif isinstance(defaults[name], float):
                values[name] = number(value, name, 1e-6, 1e6)
            else:
                values[name] = integer(value, name, 1, MAX_LAYERS if name == "layers" else MAX_SIZE)
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from None
    return config(**values)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of bounded size.

    Raises:
        ValueError: with the file's name, if it is missing, too long or holds anything else.
    """
    if not path.is_file():
        raise ValueError(f"{str(path)!r} does not exist, expected a file of the model")
    with path.open("rb") as file:
        content = file.read(MAX_JSON + 1)
    try:
        values = load_json(content, "the file", MAX_JSON)
        if not isinstance(values, dict):
            raise refuse("the file", values, "a JSON object")
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from None
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
