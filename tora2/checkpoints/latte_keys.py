"""The tensors of Latte's text-to-video transformer, a spatial-temporal DiT.

Its publishers' file has diffusers' names and some tables beside them that are computed, which
diffusers does not store. There is no second set of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from ..fields import integer, plain, show
from .cogvideox_keys import TransformerNames, find_layout

HEAD_DIM = 72
MAX_PATCH = 16

_SIGNATURES = {
    "diffusers": ("temporal_transformer_blocks.0.attn1.to_q.weight", "adaln_single.linear.weight")
}
_TABLES = ("pos_embed.pos_embed", "temp_pos_embed", "caption_projection.y_embedding")
_OUTER = (
    "pos_embed.proj",
    *(f"caption_projection.linear_{i}" for i in (1, 2)),
    *(f"adaln_single.emb.timestep_embedder.linear_{i}" for i in (1, 2)),
    "adaln_single.linear",
    "proj_out",
)
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FED = ("ff.net.0.proj", "ff.net.2")
# What no tensor tells, as published with Latte-1.
_PUBLISHED: dict[str, object] = {
    "activation_fn": "gelu-approximate",
    "attention_bias": True,
    "attention_head_dim": HEAD_DIM,
    "norm_elementwise_affine": False,
    "norm_eps": 1e-6,
    "norm_type": "ada_norm_single",
    "num_embeds_ada_norm": 1000,
    "sample_size": 64,
    "video_length": 16,
}
_SIZES = ("attention_head_dim", "sample_size", "video_length")


def find_latte(names: Iterable[str]) -> TransformerNames | None:
    """What stands before the names of a Latte transformer, or None."""
    return find_layout(_SIGNATURES, names)


def count_latte_layers(names: Iterable[str]) -> int:
    """Pairs of a spatial and a temporal block among names without a prefix."""
    stem = "temporal_transformer_blocks."
    places = (name.removeprefix(stem).split(".")[0] for name in names if name.startswith(stem))
    return 1 + max((int(place) for place in places if place.isdecimal()), default=-1)


def convert_latte(state_dict: Mapping[str, Tensor], to: str = "diffusers") -> dict[str, Tensor]:
    """The tensors of a Latte transformer under diffusers' names; nothing is copied.

    Args:
        state_dict: of a whole transformer, its publishers' or diffusers', behind any prefix.
        to: `diffusers`; the host has no Latte.

    Raises:
        ValueError: if these are no such tensors, or one is missing or unknown.
    """
    if to != "diffusers":
        raise ValueError(
            f"a Latte transformer cannot be converted to {show(to)}, only to diffusers"
        )
    found = find_latte(state_dict)
    if found is None:
        raise ValueError("these tensors are no Latte transformer: expected diffusers' names")
    tensors = {
        name.removeprefix(found.prefix): tensor
        for name, tensor in state_dict.items()
        if name.startswith(found.prefix) and not name.endswith(_TABLES)
    }
    names = _names(count_latte_layers(tensors))
    for name in tensors:
        if name not in names:
            raise ValueError(
                f"the tensor {plain(found.prefix + name)} is no part of a Latte transformer"
            )
    for name in names:
        if name not in tensors:
            raise ValueError(f"the transformer lacks the tensor {name}")
    return tensors


def latte_config(
    tensors: Mapping[str, Tensor], config: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The arguments of diffusers' LatteTransformer3DModel.

    Args:
        tensors: under diffusers' names.
        config: the content of config.json, which tells the trained size and the width of a head;
            None takes Latte-1's (64 x 64 latents, 16 frames).

    Raises:
        ValueError: if the sizes are no Latte's.
    """
    shapes = {}
    for name, ndim in (
        ("pos_embed.proj.weight", 4),
        ("caption_projection.linear_1.weight", 2),
        ("transformer_blocks.0.attn2.to_k.weight", 2),
        ("proj_out.weight", 2),
    ):
        shapes[name] = tuple(tensors[name].shape)
        if len(shapes[name]) != ndim or 0 in shapes[name]:
            raise ValueError(f"{name} has the shape {shapes[name]}, expected {ndim} dimensions")
    (dim, channels, patch, _), (_, text), (_, context), (out, _) = shapes.values()
    if patch > MAX_PATCH or out % patch**2:
        raise ValueError(
            f"the transformer has patches of {patch} cells and {out} outputs for each, expected "
            f"patches of at most {MAX_PATCH} and as many outputs for each of their cells"
        )
    given = {
        name: integer((config or {})[name], f"config.json: {name}", 1, 4096)
        for name in _SIZES
        if name in (config or {})
    }
    made = {**_PUBLISHED, **given}
    heads, rest = divmod(dim, int(str(made["attention_head_dim"])))
    if rest:
        raise ValueError(
            f"the transformer has {dim} channels, expected a multiple of "
            f"{made['attention_head_dim']}"
        )
    return {
        **made,
        "num_attention_heads": heads,
        "in_channels": channels,
        "out_channels": out // patch**2,
        "patch_size": patch,
        "cross_attention_dim": context,
        "caption_channels": text,
        "num_layers": count_latte_layers(tensors),
    }


def _names(layers: int) -> set[str]:
    """Every tensor's name."""
    spatial = [f"{attention}.{x}" for attention in ("attn1", "attn2") for x in _ATTENTION]
    temporal = [f"attn1.{x}" for x in _ATTENTION]
    modules = list(_OUTER)
    tables = ["scale_shift_table"]
    for i in range(layers):
        for stem, parts in (
            ("transformer_blocks", spatial),
            ("temporal_transformer_blocks", temporal),
        ):
            modules += [f"{stem}.{i}.{part}" for part in (*parts, *_FED)]
            tables.append(f"{stem}.{i}.scale_shift_table")
    return {*tables, *(f"{name}.{kind}" for name in modules for kind in ("weight", "bias"))}
