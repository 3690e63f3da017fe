"""Weights to begin an adapter with: Tora's motion parts, ConsisID's appearance parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints import load_adapter
from ..checkpoints.folders import read_transformer_weights
from ..fields import show
from ..models.adapter import Tora2Adapter

_CONSISID_INTERVAL = 2
_CROSS = re.compile(r"(?:.*\.)?perceiver_cross_attention\.(\d{1,4})\.(.+)")
_PERCEIVER = re.compile(r"(?:.*\.)?local_facial_extractor\.(.+)")
# A ConsisID layer is a list of its attention and its feed-forward; its first norm is the context's.
_LAYER = {
    "0.norm1": "norm_context",
    "0.norm2": "norm_query",
    "0.to_q": "to_q",
    "0.to_kv": "to_kv",
    "0.to_out": "to_out",
    "1.0": "feed_forward.0",
    "1.1": "feed_forward.1",
    "1.3": "feed_forward.3",
}


@dataclass(frozen=True)
class Taken:
    """What was taken from a file.

    Attributes:
        path: of the file or folder.
        tensors: our names of those that were taken.
        left: sentences about what was not.
    """

    path: str
    tensors: tuple[str, ...]
    left: tuple[str, ...] = ()

    def words(self) -> str:
        """The same in words."""
        parts = sorted({name.split(".", 1)[0] for name in self.tensors})
        first = f"{self.path}: {len(self.tensors)} tensors taken ({', '.join(parts) or 'none'})"
        return "; ".join([first, *self.left])


def take_motion(adapter: Tora2Adapter, path: str | Path) -> Taken:
    """Begin with Tora's motion parts, or with all parts of an adapter of ours that fit.

    Args:
        adapter: its parameters are overwritten.
        path: any layout that `tora2.checkpoints.load_adapter` reads.

    Raises:
        ValueError: if it cannot be read, or its motion parts are of other sizes.
        OSError: if the file is missing.
    """
    given = load_adapter(path)
    if "motion" not in given.config.capabilities:
        raise ValueError(f"{path} has no motion parts, expected Tora's or an adapter with them")
    for name in ("dim", "layers", "latent_channels", "feature_dim", "extractor_blocks"):
        theirs, ours = getattr(given.config, name), getattr(adapter.config, name)
        if theirs != ours:
            raise ValueError(f"{path} has motion parts of {name} {theirs}, expected {ours}")
    return _copied(adapter, given.state_dict(), path)


def take_appearance(adapter: Tora2Adapter, path: str | Path) -> Taken:
    """Begin with ConsisID's cross-attention and perceiver where they fit.

    The cross-attention of a block goes to that of the same block. Of the perceiver the first layers
    are taken, as many as the Q-Former has, its queries, its projection to the cross-attention's
    width, and its face adapter if that reads the same identity vector.

    Args:
        adapter: its parameters are overwritten.
        path: ConsisID's folder, that of its transformer, or a file of it.

    Raises:
        ValueError: if it cannot be read or holds nothing of ConsisID's.
        OSError: if it is missing.
    """
    weights = read_transformer_weights(path)
    interval = (weights.config or {}).get("cross_attn_interval", _CONSISID_INTERVAL)
    if type(interval) is not int or interval < 1:
        raise ValueError(f"{path} has cross_attn_interval {show(interval)}, expected 1 or more")
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.tensors.items():
        if match := _CROSS.fullmatch(name):
            renamed[f"cross_attention.{int(match[1]) * interval}.{match[2]}"] = tensor
        elif match := _PERCEIVER.fullmatch(name):
            renamed |= _perceiver(match[1], tensor)
    if not renamed:
        raise ValueError(
            f"{path} holds nothing of ConsisID's, expected perceiver_cross_attention or "
            "local_facial_extractor among its tensors"
        )
    ours = adapter.state_dict()
    face = "personalization.face_adapter."
    theirs = {n: t for n, t in renamed.items() if n.startswith(face)}
    if any(n not in ours or ours[n].shape != t.shape for n, t in theirs.items()):
        # Half of an adapter is of no use: its layers have learned for one another.
        renamed = {n: t for n, t in renamed.items() if n not in theirs}
    taken = _copied(adapter, renamed, path)
    if "to_context.weight" in taken.tensors:
        with torch.no_grad():
            adapter.to_context.bias.zero_()
    if theirs and not set(theirs) & set(taken.tensors):
        width = theirs.get(face + "layers.0.weight", torch.empty(0, 0)).shape[-1]
        note = f"its face adapter reads {width} channels, which this one does not"
        return Taken(taken.path, taken.tensors, (*taken.left, note))
    return taken


def _perceiver(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Our name of a tensor of ConsisID's local facial extractor; empty where we have no such."""
    if name == "latents":
        return {"personalization.queries": tensor.reshape(tensor.shape[-2:])}
    if name == "proj_out" and tensor.ndim == 2:
        return {"to_context.weight": tensor.T}
    if match := re.fullmatch(r"id_embedding_mapping\.(\d+\.(?:weight|bias))", name):
        return {f"personalization.face_adapter.layers.{match[1]}": tensor}
    if match := re.fullmatch(r"layers\.(\d{1,3})\.(.+)\.(weight|bias)", name):
        place = _LAYER.get(match[2])
        if place is not None:
            return {f"personalization.layers.{match[1]}.{place}.{match[3]}": tensor}
    return {}


@torch.no_grad()
def _copied(adapter: Tora2Adapter, tensors: Mapping[str, Tensor], path: str | Path) -> Taken:
    """Copy what has our name and shape."""
    ours = adapter.state_dict()
    taken, missing, other = [], [], []
    for name, tensor in tensors.items():
        if name not in ours:
            missing.append(name)
        elif ours[name].shape != tensor.shape:
            other.append(f"{name} {tuple(tensor.shape)}")
        else:
            ours[name].copy_(tensor)
            taken.append(name)
    left = []
    if missing:
        left.append(f"{len(missing)} tensors have no place here, {missing[0]} among them")
    if other:
        left.append(f"{len(other)} tensors have another shape, {other[0]} among them")
    return Taken(str(path), tuple(taken), tuple(left))
