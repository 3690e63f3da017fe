"""What lies in a set's cache: one file of tensors a clip, and a description of how all were made.

A clip has N entities, P pictures of them in A variations each, and K tracks:

    mean, logvar        [C, T, h, w] of the latents' distribution, not scaled
    context             [L, D] the caption
    words, word_mask    [N, W, D], [N, W] the entity words, each encoded alone
    semantic            [P, A, S, semantic_dim], the first variation as the picture is
    face, object        [P, A, face_dim], [P, A, object_dim]; zeros on the other branch
    is_face             [P, A]; owner of each picture: picture_entity [P]
    points, visible     [K, frames, 2] normalised (x, y), [K, frames]; owners: track_entity [K]
    window              [2] first frame of the clip that was taken, and every how many
    flow_mean, _logvar  [C, T, h, w] of the picture of the dense flow, where it was asked for

What is floating has the cache's `storage`, but for the points, which are float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from ..fields import load_json_file, show
from ..files import atomic_path
from ..settings import Within, read
from ..text import WORD_TOKENS
from .record import MAX_ENTITIES, MAX_REFERENCES, MAX_TRACKS
from .shards import json_bytes

FOLDER = "cache"
CONFIG = "config.json"
EMPTY = "empty.safetensors"
VERSION = 1
MAX_CONFIG = 1 << 16
STORAGES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

_Size = Annotated[int, Within(1, 1 << 20)]
_PACKED = {
    "entities": MAX_ENTITIES,
    "word_tokens": WORD_TOKENS,
    "pictures": MAX_ENTITIES * MAX_REFERENCES,
    "tracks": MAX_ENTITIES * MAX_TRACKS,
}


@dataclass(frozen=True)
class CacheConfig:
    """How the tensors of a set were made; a file of it lies beside them.

    Attributes:
        frames, height, width: of the video that was encoded, in pixels.
        fps: the rate that was aimed at.
        channels, latent_frames, rows, columns: of the latents.
        scaling: what latents are multiplied by.
        posterior: whether there is a variance.
        text_tokens, text_dim: of captions; words have `text_dim` too.
        semantic_tokens, semantic_dim, face_dim, object_dim: of a picture.
        augmentations: variations of each picture, the first of which is the picture itself.
        seed: of the variations.
        storage: of what is floating.
        flow: what estimated the dense flow; empty without.
        encoders: a name of the weights of each encoder.
    """

    frames: _Size
    height: _Size
    width: _Size
    fps: float
    channels: _Size
    latent_frames: _Size
    rows: _Size
    columns: _Size
    scaling: float
    posterior: bool
    text_tokens: _Size
    text_dim: _Size
    semantic_tokens: _Size
    semantic_dim: _Size
    face_dim: _Size
    object_dim: _Size
    augmentations: _Size
    seed: int
    storage: Literal["float32", "float16", "bfloat16"]
    encoders: dict[str, Any]
    flow: str | None = None
    version: Annotated[int, Within(VERSION, VERSION)] = VERSION

    @property
    def dtype(self) -> torch.dtype:
        """Of what is floating."""
        return STORAGES[self.storage]

    def require(self, **expected: object) -> None:
        """Refuse a cache that was made otherwise.

        Args:
            expected: values of fields by name.

        Raises:
            ValueError: names the first field that differs, and both values.
        """
        for name, value in expected.items():
            mine = getattr(self, name)
            if mine != value:
                raise ValueError(
                    f"the cache was made with {name} {show(mine)}, expected {show(value)}: "
                    "precompute into a cache of its own, or change the configuration"
                )


def write_config(folder: Path, config: CacheConfig) -> None:
    """Describe a cache, or agree with what describes it already.

    Raises:
        ValueError: if its tensors were made otherwise; names the first difference.
    """
    path = folder / CONFIG
    if path.exists():
        earlier = read_config(folder)
        try:
            earlier.require(**asdict(config))
        except ValueError as error:
            raise ValueError(f"{str(path)!r}: {error}; or remove {str(folder)!r}") from None
        return
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(json_bytes(asdict(config)))


def read_config(folder: Path) -> CacheConfig:
    """The description of a cache.

    Raises:
        ValueError: names the file, if it is missing or malformed.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{str(path)!r} does not exist, expected tensors: run precompute first")
    try:
        return read(CacheConfig, load_json_file(path, MAX_CONFIG))
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from None


def check_tensors(config: CacheConfig, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors of a clip that are not as the cache's description has them.

    Raises:
        ValueError: names the tensor, what it is and what was expected.
    """
    layout = _layout(config)
    known = dict(vars(config))
    for name in [*layout, *tensors]:
        if name not in layout or name not in tensors:
            what = "lack" if name in layout else "hold the unknown"
            raise ValueError(f"its tensors {what} {show(name)}, expected {', '.join(layout)}")
    for name, (dtype, sizes) in layout.items():
        tensor = tensors[name]
        if len(sizes) == tensor.ndim:
            for size, length in zip(sizes, tensor.shape, strict=True):
                if size in _PACKED and length <= _PACKED[size]:
                    known.setdefault(size, length)
        expected = tuple(known.get(size, size) if isinstance(size, str) else size for size in sizes)
        if tensor.dtype != dtype or tuple(tensor.shape) != expected:
            raise ValueError(
                f"its {name} is {tensor.dtype} {show(tuple(tensor.shape))}, "
                f"expected {dtype} {expected}"
            )
        if dtype.is_floating_point and not bool(tensor.isfinite().all()):
            raise ValueError(f"its {name} has values that are not finite, expected numbers")
    for name in ("picture_entity", "track_entity"):
        owners = tensors[name]
        if owners.numel() and not (0 <= int(owners.min()) <= int(owners.max()) < known["entities"]):
            raise ValueError(f"its {name} is {show(owners.tolist())} of {known['entities']}")


def _layout(config: CacheConfig) -> dict[str, tuple[torch.dtype, tuple[str | int, ...]]]:
    """Type and sizes of every tensor of a clip; sizes are those of the description or packed."""
    floating = config.dtype
    latent = (floating, ("channels", "latent_frames", "rows", "columns"))
    layout: dict[str, tuple[torch.dtype, tuple[str | int, ...]]] = {
        "mean": latent,
        "context": (floating, ("text_tokens", "text_dim")),
        "words": (floating, ("entities", "word_tokens", "text_dim")),
        "word_mask": (torch.bool, ("entities", "word_tokens")),
        "semantic": (
            floating,
            ("pictures", "augmentations", "semantic_tokens", "semantic_dim"),
        ),
        "face": (floating, ("pictures", "augmentations", "face_dim")),
        "object": (floating, ("pictures", "augmentations", "object_dim")),
        "is_face": (torch.bool, ("pictures", "augmentations")),
        "picture_entity": (torch.int64, ("pictures",)),
        "points": (torch.float32, ("tracks", "frames", 2)),
        "visible": (torch.bool, ("tracks", "frames")),
        "track_entity": (torch.int64, ("tracks",)),
        "window": (torch.int64, (2,)),
    }
    if config.posterior:
        layout["logvar"] = latent
    if config.flow:
        layout["flow_mean"] = latent
        if config.posterior:
            layout["flow_logvar"] = latent
    return layout
