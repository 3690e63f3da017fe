"""Gradients through a MODEL in the host, which runs and loads everything without any."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class NormalTensors(TorchFunctionMode):
    """A context in which tensors made under inference mode take part in gradients.

    The host runs its graph in inference mode, and what is made there, weights included, autograd
    refuses to keep. DLPack gives a tensor of the same memory that it takes.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        named = {name: _normal(value) for name, value in (kwargs or {}).items()}
        return function(*map(_normal, args), **named)


def _normal(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.from_dlpack(value.detach()) if value.is_inference() else value
    if type(value) in (list, tuple):
        return type(value)(map(_normal, value))
    return value


def plain_attention(
    function: Any,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    heads: int,
    mask: torch.Tensor | None = None,
    **options: Any,
) -> torch.Tensor:
    """Attention for the host's `optimized_attention_override`: torch's own, which has gradients."""
    if options.get("skip_reshape"):
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    else:
        split = (one.unflatten(-1, (heads, -1)).transpose(1, 2) for one in (q, k, v))
        out = F.scaled_dot_product_attention(*split, attn_mask=mask)
    return out if options.get("skip_output_reshape") else out.transpose(1, 2).flatten(2)
