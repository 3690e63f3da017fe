"""Load an adapter, or a transformer's tensors, from any file that holds one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .adapter_format import adapter_from, empty_adapter, flow_sigma, is_adapter_file
from .assigning import assign, check_plain, stored_dtype
from .cogvideox_config import transformer_config
from .cogvideox_keys import convert_transformer, find_transformer
from .folders import read_adapter_weights, read_transformer_weights
from .motion_keys import motion_config, motion_tensors, parts_of
from .recognition import OURS
from .split_files import find_sibling
from .words import describe

if TYPE_CHECKING:
    from ..models.adapter import Tora2Adapter


def load_adapter(path: str | os.PathLike[str], dtype: torch.dtype | None = None) -> Tora2Adapter:
    """Load an adapter from any public layout; which one is told by the tensors.

    Read are our own safetensors; Tora's SAT `mp_rank_00_model_states.pt`; Tora's diffusers folder
    or file; and Kijai's split files, given as the folder above `fuser/` and `traj_extractor/`, or
    as one of the two files with the other near it. Weights are mapped from disk: parts of the file
    that belong to other models are never read.

    Args:
        path: a file or a folder.
        dtype: of the adapter's parameters; None keeps what is stored (the widest where the parts
            differ, bfloat16 for 8-bit floats).

    Returns:
        The adapter on the CPU. With Tora's files its `capabilities` are {"motion"} and its sizes
        are those of the tensors.

    Raises:
        ValueError: with one sentence, if the file is damaged, holds no adapter, or lacks a half.
        OSError: if the file is missing or not readable.
    """
    weights = read_adapter_weights(path)
    if is_adapter_file(weights):
        return adapter_from(weights, dtype)
    if any(name.startswith(OURS) for name in weights.tensors):
        raise ValueError(
            f"{weights.path} holds Tora2's parts without their configuration (tora2_config in the "
            "metadata), expected a file that tora2.checkpoints.save_adapter wrote"
        )
    try:
        motion = motion_tensors(weights.tensors)
    except ValueError as error:
        raise ValueError(f"{weights.path}: {error}") from None
    parts = parts_of(motion)
    if not parts:
        raise ValueError(
            f"{weights.path} holds {describe(weights.tensors)}, expected a Tora2 adapter or Tora's "
            "motion parts (trajectory extractor and fusers)"
        )
    if len(parts) == 1:
        motion |= find_sibling(weights.path, parts.pop())
    check_plain(weights.path, motion)
    adapter = empty_adapter(motion_config(weights.path, motion))
    assign(adapter, motion, weights.path, dtype or stored_dtype(motion))
    return adapter


def adapter_flow_sigma(path: str | os.PathLike[str]) -> float | None:
    """The radius of a track on the flow picture that an adapter was trained with, in pixels.

    Returns:
        None where its file says nothing; Tora's own parts were trained with 10.

    Raises:
        ValueError, OSError: as `load_adapter`, and if its metadata has no such radius.
    """
    weights = read_adapter_weights(path)
    try:
        return flow_sigma(weights.metadata)
    except ValueError as error:
        raise ValueError(f"{weights.path}: {error}") from None


def read_transformer(path: str | os.PathLike[str]) -> tuple[dict[str, object], dict[str, Tensor]]:
    """A CogVideoX-1.0 transformer from any public layout.

    Args:
        path: a diffusers folder (of the pipeline or of the transformer), its index, a single
            safetensors file in diffusers, ComfyUI or SAT names, or SAT's `.pt`.

    Returns:
        The arguments of diffusers' CogVideoXTransformer3DModel, and its tensors under diffusers'
        names, mapped from disk and in the dtype that is stored.

    Raises:
        ValueError: if the file is damaged, holds no such transformer, or a CogVideoX-1.5 or 2B one.
        OSError: if the file is missing or not readable.
    """
    weights = read_transformer_weights(path)
    found = find_transformer(weights.tensors)
    if found is None:
        raise ValueError(
            f"{weights.path} holds {describe(weights.tensors)}, expected a CogVideoX transformer"
        )
    inside = {n: t for n, t in weights.tensors.items() if n.startswith(found.prefix)}
    check_plain(weights.path, inside)
    try:
        tensors = convert_transformer(inside, "diffusers")
        return transformer_config(tensors, weights.config), tensors
    except ValueError as error:
        raise ValueError(f"{weights.path}: {error}") from None
