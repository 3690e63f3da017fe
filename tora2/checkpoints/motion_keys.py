"""Tora's motion parts among the tensors of a file: their names, and the sizes they tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..fields import plain
from ..geometry import COGVIDEOX
from ..models.config import Tora2Config
from .adapter_format import parse_config

PARTS = {"fuser": "motion-guidance fusers", "extractor": "trajectory extractor"}

_FUSER = re.compile(r"(?:.*\.)?fuser(?:_list)?\.(\d{1,4}\.flow_.+)|(\d{1,4}\.flow_.+)")
_EXTRACTOR = re.compile(r"(?:.*\.)?(?:traj_)?extractor\.(.+)")
_BARE_EXTRACTOR = re.compile(r"(conv_in\.(?:weight|bias)|body\.\d{1,4}\..+)")


def is_motion_name(name: str) -> bool:
    """Whether a tensor with this name inside a transformer's file belongs to Tora's parts."""
    return bool(_FUSER.fullmatch(name) or _EXTRACTOR.fullmatch(name))


def motion_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tora's motion parts under our names, `fuser.{i}.…` and `extractor.…`, from any layout.

    Args:
        tensors: of a SAT, diffusers or split file, or of several together.

    Returns:
        Empty if there are none; maybe one of the two parts alone.

    Raises:
        ValueError: if a part is there twice.
    """
    out = {new: tensors[name] for new, name in motion_names(tensors).items()}
    for name in [n for n in out if n.endswith(".bn1.weight") or n.endswith(".bn2.weight")]:
        counter = name.removesuffix("weight") + "num_batches_tracked"
        out.setdefault(counter, torch.zeros((), dtype=torch.long))  # counts steps of training only
    return out


def motion_names(names: Iterable[str]) -> dict[str, str]:
    """Our name of every tensor of Tora's motion parts, with the one it has among `names`.

    Raises:
        ValueError: if a part is there twice.
    """
    known = set(names)
    bare = "conv_in.weight" in known and "body.0.bn1.running_mean" in known
    found: dict[str, str] = {}
    for name in names:
        if match := _FUSER.fullmatch(name):
            new = f"fuser.{match[1] or match[2]}"
        elif match := _EXTRACTOR.fullmatch(name) or (
            _BARE_EXTRACTOR.fullmatch(name) if bare else None
        ):
            new = f"extractor.{match[1]}"
        else:
            continue
        if new in found:
            raise ValueError(f"Tora's {plain(new)} is there twice, expected once")
        found[new] = name
    return found


def parts_of(motion: Iterable[str]) -> set[str]:
    """Which of `PARTS` are among our names."""
    return {name.split(".", 1)[0] for name in motion}


def motion_config(path: Path, motion: Mapping[str, Tensor]) -> Tora2Config:
    """The configuration of an adapter with these motion parts alone.

    Raises:
        ValueError: if their shapes are no Tora parts'.
    """
    layers = _count(motion, "fuser")
    blocks = _count(motion, "extractor.body")
    temporal = _shape(path, motion, "fuser.0.flow_gamma_temporal.weight", 3)
    spatial = _shape(path, motion, "fuser.0.flow_gamma_spatial.weight", 4)
    first = _shape(path, motion, "extractor.conv_in.weight", 4)
    cells = COGVIDEOX.patch**2
    if blocks % layers or first[1] % cells:
        raise ValueError(
            f"{path} has {blocks} extractor blocks of {first[1]} input channels for {layers} "
            f"fuser layers, expected a multiple of the layers and of {cells}"
        )
    if max(blocks, layers) > len(motion):
        raise ValueError(
            f"{path} has {len(motion)} motion tensors for {blocks} extractor blocks and {layers} "
            "fuser layers: download it again"
        )
    try:
        return parse_config(
            {
                "dim": temporal[0],
                "layers": layers,
                "feature_dim": spatial[1],
                "extractor_blocks": blocks // layers,
                "latent_channels": first[1] // cells,
                "capabilities": ["motion"],
            }
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _count(motion: Mapping[str, Tensor], stem: str) -> int:
    pattern = re.compile(re.escape(stem) + r"\.(\d{1,18})\.")
    found = [int(match[1]) for name in motion if (match := pattern.match(name))]
    return 1 + max(found, default=0)


def _shape(path: Path, motion: Mapping[str, Tensor], name: str, ndim: int) -> tuple[int, ...]:
    if name not in motion:
        raise ValueError(f"{path} lacks the tensor {name}")
    shape = tuple(motion[name].shape)
    if len(shape) != ndim:
        raise ValueError(f"{path} has {name} of shape {shape}, expected {ndim} dimensions")
    return shape
