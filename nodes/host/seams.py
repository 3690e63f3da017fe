"""Where a block of the host's video models is open to Tora2's two calls, a model an entry.

A seam is a module of the block whose `forward` is wrapped. The tensor that a norm receives is the
residual stream itself, so that the cross-attention is written into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comfy.ldm.wan.model import WanModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...tora2.conditioning import Tora2Conditioning
from ...tora2.geometry import COGVIDEOX, WAN, Grid
from .corrections import correct

Seam = Callable[..., Any]
"""(the conditions of now, the block's index, the module's own forward, its arguments …)."""


@dataclass(frozen=True)
class Blocks:
    """A video model of the host.

    Attributes:
        grid: its latent geometry.
        seams: by the module of a block that they wrap.
        correct: a clone of a MODEL that computes what the published models compute.
    """

    grid: Grid
    seams: Mapping[str, Seam]
    correct: Callable[[ModelPatcher], ModelPatcher]


def _modulating_norm(
    now: Tora2Conditioning, layer: int, own: Callable[..., Any], video: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    """CogVideoX's first norm, which modulates the tokens itself and returns gates with them."""
    _before(now, layer, video)
    normed, *others = own(video, *rest)
    return now.modulate(layer, normed), *others


def _first_norm(
    now: Tora2Conditioning, layer: int, own: Callable[..., Any], video: Tensor, *rest: Any
) -> Any:
    """A norm before the block's attention, behind which the tokens are modulated."""
    _before(now, layer, video)
    return own(video, *rest)


def _attention(
    now: Tora2Conditioning,
    layer: int,
    own: Callable[..., Any],
    tokens: Tensor,
    *rest: Any,
    **more: Any,
) -> Any:
    """An attention that receives the modulated tokens."""
    return own(now.modulate(layer, tokens), *rest, **more)


def _last_norm(
    now: Tora2Conditioning, layer: int, own: Callable[..., Any], video: Tensor, *rest: Any
) -> Any:
    """The norm before the feed-forward: behind every attention of the block."""
    if now.motion_first:
        _write(video, now.attend(layer, video))
    return own(video, *rest)


def _before(now: Tora2Conditioning, layer: int, video: Tensor) -> None:
    if not now.motion_first:
        _write(video, now.attend(layer, video))


def _write(stream: Tensor, updated: Tensor) -> None:
    if updated is not stream:
        stream.copy_(updated)


_WAN = Blocks(
    WAN,
    {"norm1": _first_norm, "self_attn": _attention, "norm2": _last_norm},
    ModelPatcher.clone,
)
_COGVIDEOX = Blocks(COGVIDEOX, {"norm1": _modulating_norm, "norm2": _last_norm}, correct)


def blocks_of(transformer: Any) -> Blocks:
    """The entry of a MODEL's transformer.

    Raises:
        ValueError: if it is no CogVideoX-1.0 and no Wan 2.1.
    """
    if type(transformer) is WanModel and transformer.out_dim == WAN.channels:
        return _WAN
    blocks = getattr(transformer, "blocks", None)
    if blocks is None or not hasattr(blocks[0], "norm1") or not hasattr(transformer, "patch_embed"):
        raise ValueError(
            f"the model is a {type(transformer).__name__}; Tora2 needs a CogVideoX-1.0 transformer "
            "or Wan 2.1's text-to-video one"
        )
    if transformer.patch_size_t is not None:
        raise ValueError("the model is a CogVideoX-1.5 transformer; Tora2 needs CogVideoX-1.0")
    return _COGVIDEOX
