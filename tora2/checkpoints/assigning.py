"""Give a module that was built on the meta device the tensors of a file, without a second copy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor, nn

from ..fields import plain
from .sources import TORA_TRANSFORMER, TORA_TRANSFORMER_I2V

FLOAT8 = frozenset(
    getattr(torch, name)
    for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
)
SCALED = ("scaled_fp8", ".scale_weight", ".weight_scale", ".comfy_quant")
PLAIN = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16}) | FLOAT8


def stored_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The one dtype to compute in: the widest stored; 8-bit floats count as bfloat16."""
    kinds = {t.dtype for t in tensors.values() if t.is_floating_point()}
    kinds = {torch.bfloat16 if kind in FLOAT8 else kind for kind in kinds}
    return reduce(torch.promote_types, sorted(kinds, key=str)) if kinds else torch.float32


def check_plain(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not plain floating-point numbers.

    Raises:
        ValueError: for quantised blocks (GGUF, bitsandbytes) and fp8 with separate scales.
    """
    for name, tensor in tensors.items():
        if name.endswith(SCALED):
            raise ValueError(
                f"{path} holds scaled fp8 weights ({plain(name)}), which only the host's own "
                "loader reads: expected plain fp8, fp16, bf16 or float32"
            )
        if tensor.dtype not in PLAIN and not name.endswith("num_batches_tracked"):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ValueError(
                f"{path} holds quantised weights ({plain(name)} is {kind}), as GGUF and "
                "bitsandbytes files do: expected fp8, fp16, bf16 or float32, such as "
                f"{TORA_TRANSFORMER_I2V.file} (image to video) or {TORA_TRANSFORMER.file} (text to "
                "video) of Kijai, which in 8 bits need half the memory"
            )


def assign(
    module: nn.Module, tensors: Mapping[str, Tensor], path: Path, dtype: torch.dtype
) -> None:
    """Put tensors into a module whose parameters are on the meta device.

    Args:
        module: its state dict names what is expected.
        tensors: the same names and shapes; tensors of another dtype are cast, the others shared.
        path: where they come from, for messages.
        dtype: of every floating-point tensor.

    Raises:
        ValueError: naming the first tensor that is missing, unknown or of another shape.
    """
    check_plain(path, tensors)
    expected = module.state_dict()
    ready: dict[str, Tensor] = {}
    for name, target in expected.items():
        tensor = tensors.get(name)
        if tensor is None:
            missing = sum(other not in tensors for other in expected)
            raise ValueError(
                f"{path} lacks {missing} of {len(expected)} tensors, among them {name}"
            )
        if tensor.shape != target.shape:
            raise ValueError(
                f"{path} has {name} of shape {tuple(tensor.shape)}, expected {tuple(target.shape)}"
            )
        ready[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    for name in tensors:
        if name not in expected:
            raise ValueError(
                f"{path} has the tensor {plain(name)}, which {type(module).__name__} lacks"
            )
    module.load_state_dict(ready, strict=True, assign=True)
