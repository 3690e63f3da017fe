"""Our own adapter file: safetensors with the configuration in the metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from ..fields import integer, load_json, mapping, number, show
from ..geometry import COGVIDEOX, Grid
from ..models.config import Tora2Config
from .assigning import assign, stored_dtype
from .safetensors_file import write_safetensors
from .weights import Weights

if TYPE_CHECKING:  # looking at files needs none of what the modules need
    from ..models.adapter import Tora2Adapter

FORMAT = "tora2"
VERSION = 1
MAX_CONFIG = 64 * 1024
FLOW_SIGMA = "tora2_flow_sigma"
GRID = "tora2_grid"
_LEAST = 10  # tensors in a fuser; in a residual block and a Q-Former layer there are more


def save_adapter(
    adapter: Tora2Adapter,
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write an adapter as one safetensors file, whole or not at all.

    Args:
        adapter: saved in the dtype it is in.
        path: the file to write.
        metadata: further texts to keep beside the configuration, such as how it was trained.

    Raises:
        ValueError: if a metadata value is no text, or its key is one of ours.
        OSError: if the file cannot be written.
    """
    ours = {
        "format": FORMAT,
        "version": str(VERSION),
        "tora2_config": json.dumps(adapter.config.to_dict()),
    }
    if adapter.grid != COGVIDEOX:
        ours[GRID] = json.dumps(asdict(adapter.grid))
    for key, value in (metadata or {}).items():
        if key in ours or not isinstance(key, str) or not isinstance(value, str):
            raise ValueError(
                f"metadata {show(key)}: {show(value)} cannot be saved, "
                f"expected texts under keys other than {', '.join(ours)}"
            )
    tensors = {name: t.detach().cpu().contiguous() for name, t in adapter.state_dict().items()}
    write_safetensors(path, tensors, {**(metadata or {}), **ours})


def flow_sigma(metadata: Mapping[str, str]) -> float | None:
    """The radius of a track on the flow picture that an adapter was trained with, in pixels.

    Args:
        metadata: of its file.

    Returns:
        None where it says nothing; Tora's own parts were trained with 10.

    Raises:
        ValueError: if what it says is no radius.
    """
    text = metadata.get(FLOW_SIGMA)
    if text is None:
        return None
    try:
        return number(float(text[:64]), FLOW_SIGMA, 0.1, 1000)
    except ValueError:
        raise ValueError(
            f"the metadata's {FLOW_SIGMA} is {show(text)}, expected a number from 0.1 to 1000"
        ) from None


def is_adapter_file(weights: Weights) -> bool:
    """Whether a file says that it is our own."""
    return is_own(weights.metadata)


def is_own(metadata: Mapping[str, str]) -> bool:
    """The same of a file's metadata."""
    return "tora2_config" in metadata or metadata.get("format") == FORMAT


def read_config(weights: Weights) -> Tora2Config:
    """The configuration in the metadata of our own file.

    Raises:
        ValueError: if a newer Tora2 wrote it, or a field is unknown or out of bounds.
    """
    where = weights.path
    version = weights.metadata.get("version", "")
    if not version.isdecimal() or len(version) > 9 or int(version) < 1:
        raise ValueError(f"{where} has the version {show(version)}, expected 1 to {VERSION}")
    if int(version) > VERSION:
        raise ValueError(
            f"{where} has the version {version}, expected at most {VERSION}: "
            "a newer Tora2 wrote this file"
        )
    config = weights.metadata.get("tora2_config", "")
    try:
        return parse_config(load_json(config, "tora2_config", MAX_CONFIG))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def read_grid(weights: Weights) -> Grid:
    """The latent geometry that an adapter was made for; CogVideoX's where its file says nothing.

    Raises:
        ValueError: if what it says is none.
    """
    text = weights.metadata.get(GRID)
    if text is None:
        return COGVIDEOX
    try:
        names = tuple(Grid.__dataclass_fields__)
        values = mapping(load_json(text, GRID, MAX_CONFIG), GRID, names)
        return Grid(**{name: integer(values[name], f"{GRID}.{name}", 1, 1024) for name in names})
    except ValueError as error:
        raise ValueError(f"{weights.path}: {error}") from None


def parse_config(value: object) -> Tora2Config:
    """An adapter configuration out of untrusted JSON; fields that are absent keep their default.

    Raises:
        ValueError: if a field is unknown, of another type or out of bounds.
    """
    known = Tora2Config.__dataclass_fields__
    return Tora2Config.from_dict(mapping(value, "tora2_config", (), known))


def adapter_from(weights: Weights, dtype: torch.dtype | None = None) -> Tora2Adapter:
    """Build the adapter of our own file; see `load_adapter`."""
    config = read_config(weights)
    check_counts(config, weights)
    adapter = empty_adapter(config, read_grid(weights))
    assign(adapter, weights.tensors, weights.path, dtype or stored_dtype(weights.tensors))
    return adapter


def check_counts(config: Tora2Config, weights: Weights) -> None:
    """Refuse a configuration with more parts than the file has tensors, before they are built.

    Raises:
        ValueError: names the file and both numbers.
    """
    motion = "motion" in config.capabilities
    for count, what in (
        (config.layers, "layers"),
        (config.layers * config.extractor_blocks if motion else 0, "extractor blocks"),
        (config.qformer_depth if "appearance" in config.capabilities else 0, "Q-Former layers"),
    ):
        if _LEAST * count > len(weights.tensors):
            raise ValueError(
                f"{weights.path} has {len(weights.tensors)} tensors for {count} {what}: "
                "download it again"
            )


def empty_adapter(config: Tora2Config, grid: Grid = COGVIDEOX) -> Tora2Adapter:
    """An adapter without memory for its parameters (the meta device)."""
    from ..models.adapter import Tora2Adapter

    with torch.device("meta"):
        return Tora2Adapter(config, grid)
