"""The names that the tensors of Wan 2.1's text-to-video transformer have in its two layouts.

Its publishers and the host share one set of names (`comfy` here), diffusers has another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from ..fields import plain, show
from .cogvideox_keys import LAYOUTS, TransformerNames, find_layout

HEAD_DIM = 128

# (diffusers, the publishers'); the longer of two names that begin alike comes first.
_OUTER = (
    ("patch_embedding", "patch_embedding"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("proj_out", "head.head"),
)
_BLOCK = (
    *((f"attn1.to_{x}", f"self_attn.{x}") for x in "qkv"),
    ("attn1.to_out.0", "self_attn.o"),
    *((f"attn2.to_{x}", f"cross_attn.{x}") for x in "qkv"),
    ("attn2.to_out.0", "cross_attn.o"),
    ("norm2", "norm3"),
    ("ffn.net.0.proj", "ffn.0"),
    ("ffn.net.2", "ffn.2"),
)
_WEIGHTS = tuple(
    (f"{ours}.norm_{x}.weight", f"{theirs}.norm_{x}.weight")
    for ours, theirs in (("attn1", "self_attn"), ("attn2", "cross_attn"))
    for x in "qk"
)
_SIGNATURES = {
    "diffusers": ("blocks.0.attn1.norm_q.weight", "condition_embedder.time_proj.weight"),
    "comfy": ("blocks.0.self_attn.norm_q.weight", "time_projection.1.weight"),
}
_BLOCKS = re.compile(r"blocks\.(\d{1,3})\.")


def find_wan(names: Iterable[str]) -> TransformerNames | None:
    """The layout of a Wan transformer among tensor names, or None."""
    return find_layout(_SIGNATURES, names)


def count_wan_blocks(names: Iterable[str]) -> int:
    """Blocks of a transformer, by the highest number among its names without a prefix."""
    return 1 + max((int(match[1]) for name in names if (match := _BLOCKS.match(name))), default=-1)


def convert_wan(state_dict: Mapping[str, Tensor], to: str = "diffusers") -> dict[str, Tensor]:
    """Rename the tensors of a Wan text-to-video transformer; nothing is copied.

    Args:
        state_dict: of a whole transformer, in either layout, behind any common prefix.
        to: `diffusers` or `comfy`.

    Raises:
        ValueError: if these are no such tensors, or one is missing or unknown, as the image parts
            of Wan's other models are.
    """
    if to not in LAYOUTS:
        raise ValueError(f"cannot convert to {show(to)}, expected one of {', '.join(LAYOUTS)}")
    found = find_wan(state_dict)
    if found is None:
        raise ValueError("these tensors are no Wan transformer: expected diffusers or Wan names")
    tensors = {
        name.removeprefix(found.prefix): tensor
        for name, tensor in state_dict.items()
        if name.startswith(found.prefix)
    }
    names = _names(found.layout, to, count_wan_blocks(tensors))
    for name in tensors:
        if name not in names:
            raise ValueError(
                f"the tensor {plain(found.prefix + name)} is no part of Wan 2.1's text-to-video "
                "transformer; its image-to-video, VACE and 2.2 models cannot be used"
            )
    for name, renamed in names.items():
        if name not in tensors:
            raise ValueError(f"the transformer lacks the tensor {renamed} ({to} name)")
    return {names[name]: tensor for name, tensor in tensors.items()}


def wan_config(
    tensors: Mapping[str, Tensor], config: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The arguments of diffusers' WanTransformer3DModel.

    Args:
        tensors: under diffusers' names.
        config: the content of config.json, which is only checked: sizes are those of the tensors.

    Raises:
        ValueError: if the sizes are no Wan 2.1's.
    """
    shapes = {}
    for name, ndim in (
        ("patch_embedding.weight", 5),
        ("condition_embedder.text_embedder.linear_1.weight", 2),
        ("condition_embedder.time_embedder.linear_1.weight", 2),
        ("blocks.0.ffn.net.0.proj.weight", 2),
        ("proj_out.weight", 2),
    ):
        shapes[name] = tuple(tensors[name].shape)
        if len(shapes[name]) != ndim or 0 in shapes[name]:
            raise ValueError(f"{name} has the shape {shapes[name]}, expected {ndim} dimensions")
    entry, text, time, fed, out = shapes.values()
    patch = (1, 2, 2)
    if entry[0] % HEAD_DIM or entry[2:] != patch or out[0] % 4:
        raise ValueError(
            f"the transformer has {entry[0]} channels in patches of {entry[2:]} and {out[0]} "
            f"outputs for each, expected a multiple of {HEAD_DIM} channels in patches of {patch}"
        )
    if (config or {}).get("num_attention_heads", entry[0] // HEAD_DIM) != entry[0] // HEAD_DIM:
        raise ValueError(
            f"config.json has num_attention_heads {show((config or {})['num_attention_heads'])}, "
            f"expected {entry[0] // HEAD_DIM}, of {HEAD_DIM} channels each"
        )
    return {
        "patch_size": patch,
        "num_attention_heads": entry[0] // HEAD_DIM,
        "attention_head_dim": HEAD_DIM,
        "in_channels": entry[1],
        "out_channels": out[0] // 4,
        "text_dim": text[1],
        "freq_dim": time[1],
        "ffn_dim": fed[0],
        "num_layers": count_wan_blocks(tensors),
    }


def _names(source: str, target: str, blocks: int) -> dict[str, str]:
    """Every tensor name of `source` with the name it has in `target`."""
    pairs = [("scale_shift_table", "head.modulation"), *_kinds(_OUTER)]
    block = (*_kinds(_BLOCK), *_WEIGHTS, ("scale_shift_table", "modulation"))
    for i in range(blocks):
        pairs += [(f"blocks.{i}.{ours}", f"blocks.{i}.{theirs}") for ours, theirs in block]
    a, b = LAYOUTS.index(source), LAYOUTS.index(target)
    return {pair[a]: pair[b] for pair in pairs}


def _kinds(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Every pair's weight and bias."""
    return [(f"{a}.{kind}", f"{b}.{kind}") for a, b in pairs for kind in ("weight", "bias")]
