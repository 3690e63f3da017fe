"""A LoRA as a file: layers under the host's names, and in the metadata what it is."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from torch import Tensor

from ..checkpoints.lora_keys import host_name, layer_name
from ..checkpoints.safetensors_file import write_safetensors
from ..checkpoints.weights import read_file
from ..fields import load_json, show
from ..settings import read

METADATA = "tora2_lora"
VIDEO = "video_tokens."
"""Before the names of a LoRA that leaves the text's tokens alone. Added to the weights it would
change them too, so no ordinary loader is to find its layers."""

_DOWN, _UP, _ALPHA = ".lora_A.weight", ".lora_B.weight", ".alpha"
_MAX_TEXT = 1 << 16


@dataclass(frozen=True)
class LoraInfo:
    """What a LoRA is.

    Attributes:
        base: the video model it was made for, in words.
        method: what it was made to learn.
        arm: which layers it moves, of `ARMS`.
        rank: of its matrices.
        token: the word in captions that stands for what was learned, if there is one.
        video_only: whether the text's tokens are left alone where attention is joint.
        objective: the losses it was trained with, in words.
    """

    base: str
    method: Literal["motion", "subject"]
    arm: str
    rank: int
    token: str | None = None
    video_only: bool = False
    objective: str | None = None


@dataclass(frozen=True, eq=False)
class Lora:
    """Low-rank changes of linear layers.

    Attributes:
        info: what it is.
        layers: (A [rank, in], B [out, rank]) by a layer's name in diffusers; the layer's output
            grows by B A x.
    """

    info: LoraInfo
    layers: Mapping[str, tuple[Tensor, Tensor]]


def write_lora(
    lora: Lora, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a LoRA as safetensors, whole or not at all.

    Args:
        lora: in the type of its tensors.
        path: the file.
        metadata: further texts.

    Raises:
        OSError: if the file cannot be written.
    """
    tensors = {}
    for layer, (down, up) in lora.layers.items():
        name = (VIDEO if lora.info.video_only else "") + host_name(layer)
        tensors[name + _DOWN], tensors[name + _UP] = down.contiguous(), up.contiguous()
        # Without it some loaders take another one than the rank.
        tensors[name + _ALPHA] = down.new_tensor(float(lora.info.rank))
    write_safetensors(path, tensors, {**(metadata or {}), METADATA: json.dumps(asdict(lora.info))})


def read_lora(path: str | os.PathLike[str]) -> Lora:
    """A LoRA of `write_lora`.

    Raises:
        ValueError: if the file is none, or damaged.
        OSError: if it cannot be read.
    """
    weights = read_file(path)
    if METADATA not in weights.metadata:
        raise ValueError(
            f"{os.fspath(path)} does not say how it was made, expected a LoRA of "
            "`python -m tora2 customize`; others are for the host's own LoRA loader"
        )
    what = f"{os.fspath(path)}: {METADATA}"
    try:
        info = read(LoraInfo, load_json(weights.metadata[METADATA], what, _MAX_TEXT))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} has a damaged description: {error}") from None
    layers = {}
    for name, down in weights.tensors.items():
        if not name.endswith(_DOWN):
            continue
        stem = name.removesuffix(_DOWN)
        up, alpha = weights.tensors.get(stem + _UP), weights.tensors.get(stem + _ALPHA)
        fits = down.ndim == 2 and up is not None and up.ndim == 2 and up.shape[1] == down.shape[0]
        if not fits or up is None or alpha is None or alpha.numel() != 1:
            raise ValueError(
                f"{os.fspath(path)} has {show(stem)} as no pair of matrices and a scale: "
                "it is damaged"
            )
        scale = float(alpha) / down.shape[0]
        if not math.isfinite(scale):
            raise ValueError(f"{os.fspath(path)} has {show(stem)} scaled by {scale}: it is damaged")
        layers[layer_name(stem.removeprefix(VIDEO))] = (down, up if scale == 1 else up * scale)
    if not layers:
        raise ValueError(f"{os.fspath(path)} has no layers, expected those of a LoRA")
    return Lora(info, layers)
