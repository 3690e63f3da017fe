"""The names that the CogVideoX transformer's tensors have in its three public layouts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..fields import plain, show
from .cogvideox_config import BLOCKS, CHANNELS
from .motion_keys import is_motion_name

LAYOUTS = ("diffusers", "comfy")

# (SAT, diffusers, ComfyUI); every entry has a weight and a bias. SAT packs the entries without a
# name into larger tensors, which `_unpack_sat` takes apart.
_OUTER = (
    ("mixins.patch_embed.proj", "patch_embed.proj", "patch_embed.proj"),
    ("mixins.patch_embed.text_proj", "patch_embed.text_proj", "patch_embed.text_proj"),
    ("time_embed.0", "time_embedding.linear_1", "time_embedding_linear_1"),
    ("time_embed.2", "time_embedding.linear_2", "time_embedding_linear_2"),
    ("transformer.final_layernorm", "norm_final", "norm_final"),
    ("mixins.final_layer.adaLN_modulation.1", "norm_out.linear", "norm_out.linear"),
    ("mixins.final_layer.norm_final", "norm_out.norm", "norm_out.norm"),
    ("mixins.final_layer.linear", "proj_out", "proj_out"),
)
_BLOCK = (
    ("transformer.layers.{i}.input_layernorm", "norm1.norm", "norm1.norm"),
    (None, "norm1.linear", "norm1.linear"),
    ("transformer.layers.{i}.post_attention_layernorm", "norm2.norm", "norm2.norm"),
    (None, "norm2.linear", "norm2.linear"),
    (None, "attn1.to_q", "q"),
    (None, "attn1.to_k", "k"),
    (None, "attn1.to_v", "v"),
    ("mixins.adaln_layer.query_layernorm_list.{i}", "attn1.norm_q", "norm_q"),
    ("mixins.adaln_layer.key_layernorm_list.{i}", "attn1.norm_k", "norm_k"),
    ("transformer.layers.{i}.attention.dense", "attn1.to_out.0", "attn_out"),
    ("transformer.layers.{i}.mlp.dense_h_to_4h", "ff.net.0.proj", "ff_proj"),
    ("transformer.layers.{i}.mlp.dense_4h_to_h", "ff.net.2", "ff_out"),
)
BLOCK_LAYERS = tuple((diffusers, comfy) for _, diffusers, comfy in _BLOCK)
"""Every layer of a block, by its names in diffusers and in ComfyUI."""
_SAT_QKV = "transformer.layers.{i}.attention.query_key_value"
_SAT_ADALN = "mixins.adaln_layer.adaLN_modulations.{i}.1"
_SAT_POSITIONS = "mixins.pos_embed.pos_embedding"
POSITIONS = "patch_embed.pos_embedding"
_SAT_BUFFER = re.compile(r"freqs_(sin|cos)$|position_embeddings?\b|embed_tokens|word_embeddings")

_SIGNATURES = {
    "sat": (
        "transformer.layers.0.attention.query_key_value.weight",
        "mixins.patch_embed.proj.weight",
    ),
    "diffusers": ("transformer_blocks.0.attn1.to_out.0.weight", "patch_embed.text_proj.weight"),
    "comfy": ("blocks.0.attn_out.weight", "patch_embed.text_proj.weight"),
}


@dataclass(frozen=True)
class TransformerNames:
    """Which layout's names a transformer has, and what stands before each of them."""

    layout: str
    prefix: str


def find_transformer(names: Iterable[str]) -> TransformerNames | None:
    """The layout of a CogVideoX transformer among tensor names, or None."""
    return find_layout(_SIGNATURES, names)


def find_layout(
    signatures: Mapping[str, tuple[str, str]], names: Iterable[str]
) -> TransformerNames | None:
    """The layout of a transformer among tensor names, or None.

    Args:
        signatures: of each layout, two names that no other model has both of.
        names: of all tensors, behind any common prefix.
    """
    known = set(names)
    for layout, (first, second) in signatures.items():
        for name in known:
            prefix = name.removesuffix(first)
            if prefix != name and prefix[-1:] in ("", ".") and prefix + second in known:
                return TransformerNames(layout, prefix)
    return None


def convert_transformer(
    state_dict: Mapping[str, Tensor], to: str = "diffusers"
) -> dict[str, Tensor]:
    """Rename a CogVideoX-1.0 transformer's tensors.

    The layout given is told by its names: SAT, diffusers or ComfyUI, behind any common prefix.
    SAT's packed query-key-value and 12-part modulation are split. Left out: SAT's buffers, all that
    lies outside the transformer's prefix (text encoder, VAE), and Tora's motion parts, which
    `load_adapter` reads from the same file. The learned positions of image-to-video are kept.

    Args:
        state_dict: tensors of a whole transformer.
        to: `diffusers` or `comfy`.

    Returns:
        The tensors under their new names, in the dtype given; not copied, except that SAT's
        modulations are rearranged.

    Raises:
        ValueError: if these are no CogVideoX transformer's tensors, if they are CogVideoX-1.5's or
            2B's, or if one is missing or unknown.
    """
    if to not in LAYOUTS:
        raise ValueError(f"cannot convert to {show(to)}, expected one of {', '.join(LAYOUTS)}")
    found = find_transformer(state_dict)
    if found is None:
        raise ValueError(
            "these tensors are no CogVideoX transformer: expected SAT, diffusers or ComfyUI names, "
            f"got {', '.join(map(plain, sorted(state_dict)[:3])) or 'none'}"
        )
    tensors = {
        name.removeprefix(found.prefix): tensor
        for name, tensor in state_dict.items()
        if name.startswith(found.prefix) and not is_motion_name(name)
    }
    refuse_other_bases(tensors)
    if found.layout == "sat":
        tensors = {n: t for n, t in tensors.items() if not _SAT_BUFFER.search(n)}
        tensors = _unpack_sat(tensors)
    names = _name_table(found.layout, to, count_blocks(tensors, TransformerNames(found.layout, "")))
    for name in tensors:
        if name not in names:
            raise ValueError(
                f"the tensor {plain(found.prefix + name)} is no part of a CogVideoX transformer"
            )
    for name in names:
        if name not in tensors and name != _positions(found.layout):
            raise ValueError(f"the transformer lacks the tensor {names[name]} ({to} name)")
    return {names[name]: tensor for name, tensor in tensors.items()}


def refuse_other_bases(tensors: Mapping[str, Tensor]) -> None:
    """Refuse a transformer that Tora's parts cannot stand beside.

    Args:
        tensors: without a prefix, in any layout.

    Raises:
        ValueError: for CogVideoX-1.5 and CogVideoX-2B, saying why.
    """
    projection = tensors.get("patch_embed.proj.weight")
    if projection is None:
        projection = tensors.get("mixins.patch_embed.proj.weight")
    if projection is None:
        return
    if projection.ndim == 2 or any(name.startswith("ofs_embed") for name in tensors):
        raise ValueError(
            "this is a CogVideoX-1.5 transformer, which joins pairs of latent frames into one "
            "token; Tora's motion features have one map for every latent frame, "
            "so it needs CogVideoX-1.0 (5B)"
        )
    if projection.shape[0] == 1920:
        raise ValueError(
            "this is a CogVideoX-2B transformer (1920 channels, sinusoidal positions); "
            f"the published parts fit {CHANNELS} channels and {BLOCKS} layers, "
            "so they need CogVideoX-5B"
        )


def _positions(layout: str) -> str:
    return _SAT_POSITIONS if layout == "sat" else POSITIONS


def entry_name(found: TransformerNames) -> str:
    """The name of the weights that latents meet first."""
    return (
        found.prefix + _SIGNATURES["sat"][1]
        if found.layout == "sat"
        else (f"{found.prefix}patch_embed.proj.weight")
    )


def count_blocks(names: Iterable[str], found: TransformerNames) -> int:
    """Blocks of a transformer, by the highest number among its names."""
    stem = {"sat": "transformer.layers", "diffusers": "transformer_blocks", "comfy": "blocks"}
    pattern = re.compile(rf"{re.escape(found.prefix + stem[found.layout])}\.(\d{{1,3}})\.")
    return 1 + max((int(match[1]) for name in names if (match := pattern.match(name))), default=0)


def _name_table(source: str, target: str, blocks: int) -> dict[str, str]:
    """Every tensor name of `source` with the name it has in `target`."""
    columns = ("sat", "diffusers", "comfy")
    a, b = columns.index(source), columns.index(target)
    pairs = [(str(row[a]), str(row[b])) for row in _OUTER]
    for i in range(blocks):
        for row in _BLOCK:
            full = (
                (row[0] or f"unpacked.{i}.{row[1]}").replace("{i}", str(i)),
                f"transformer_blocks.{i}.{row[1]}",
                f"blocks.{i}.{row[2]}",
            )
            pairs.append((full[a], full[b]))
    table = {f"{old}.{kind}": f"{new}.{kind}" for old, new in pairs for kind in ("weight", "bias")}
    return {**table, _positions(source): _positions(target)}


def _unpack_sat(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Split the packed tensors; their parts get the names that `_name_table` gives them."""
    qkv = re.compile(re.escape(_SAT_QKV).replace(r"\{i\}", r"(\d+)") + r"\.(weight|bias)")
    adaln = re.compile(re.escape(_SAT_ADALN).replace(r"\{i\}", r"(\d+)") + r"\.(weight|bias)")
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if match := qkv.fullmatch(name):
            parts = _chunks(name, tensor, 3)
            for part, piece in zip("qkv", parts, strict=True):
                out[f"unpacked.{match[1]}.attn1.to_{part}.{match[2]}"] = piece
        elif match := adaln.fullmatch(name):
            # Video shift, scale, gate before attention, the same before the MLP, then text's six.
            parts = _chunks(name, tensor, 12)
            for norm, order in (("norm1", (0, 1, 2, 6, 7, 8)), ("norm2", (3, 4, 5, 9, 10, 11))):
                joined = torch.cat([parts[index] for index in order])
                out[f"unpacked.{match[1]}.{norm}.linear.{match[2]}"] = joined
        else:
            out[name] = tensor
    return out


def _chunks(name: str, tensor: Tensor, count: int) -> tuple[Tensor, ...]:
    if tensor.ndim == 0 or tensor.shape[0] % count:
        raise ValueError(
            f"{plain(name)} has the shape {tuple(tensor.shape)}, expected {count} equal parts in it"
        )
    return tensor.chunk(count)
