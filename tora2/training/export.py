"""A trained adapter as a file to use and to share, with how it was made in the metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from ..checkpoints import save_adapter
from ..checkpoints.adapter_format import FLOW_SIGMA
from ..files import atomic_path
from ..models.adapter import Tora2Adapter

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def whole_state(part: nn.Module) -> dict[str, Tensor]:
    """A part's tensors on the CPU, put together from all processes, which call it together."""
    state = {}
    for name, tensor in part.state_dict().items():
        if isinstance(tensor, DTensor):
            tensor = tensor.full_tensor()
        state[name] = tensor.detach().to("cpu", copy=True)
    return state


def fingerprint(keys: Iterable[str], made: Mapping[str, Any]) -> str:
    """A name of the data that a model was trained on: which clips, and how they were encoded."""
    content = json.dumps({"clips": sorted(keys), "cache": dict(made)}, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def export_adapter(
    adapter: Tora2Adapter,
    state: Mapping[str, Tensor],
    path: Path,
    dtype: torch.dtype,
    training: Mapping[str, Any],
    data: str,
    sigma: float,
) -> None:
    """Write an adapter that `tora2.checkpoints.load_adapter` and the nodes load.

    Args:
        adapter: gives the configuration.
        state: its weights, as `whole_state` gives them.
        path: the file.
        dtype: of the weights.
        training: the configuration of the run.
        data: fingerprint of the clips.
        sigma: radius of a track on the flow picture, in pixels.

    Raises:
        ValueError: if a weight is out of the type's range.
        OSError: if the file cannot be written.
    """
    with torch.device("meta"):
        made = Tora2Adapter(deepcopy(adapter.config), adapter.grid)
    cast = {n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()}
    for name, tensor in cast.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(
                f"{name} is not finite as {str(dtype).removeprefix('torch.')}, "
                "expected numbers: export as bf16 or fp32"
            )
    made.load_state_dict(cast, assign=True)
    save_adapter(
        made,
        path,
        {
            "tora2_training": json.dumps(dict(training), sort_keys=True),
            "tora2_data": data,
            FLOW_SIGMA: repr(float(sigma)),
        },
    )


def write_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write weights for the next stage, as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)


def read_state(adapter: Tora2Adapter, path: Path) -> None:
    """Go on with the weights that an earlier stage has written.

    Raises:
        ValueError: if they are another adapter's.
    """
    try:
        adapter.load_state_dict(load_file(path))
    except RuntimeError:
        raise ValueError(
            f"{str(path)!r} is of another adapter; remove it to train its stage again"
        ) from None
