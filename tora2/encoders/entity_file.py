"""Entities as files, so that a character can be kept and shared.

A safetensors file with the features of every picture, the crops, and JSON metadata; the thumbnail
stands under `modelspec.thumbnail`, where model browsers look for one.
"""

import base64
import io
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..files import atomic_path
from .entity import MAX_PICTURES, Entity
from .features import BRANCHES, PictureFeatures
from .routing import Routing

FORMAT = "tora2-entity"
VERSION = 1
MAX_BYTES = 256 << 20
_THUMBNAIL = 128


def save_entity(entity: Entity, path: str | os.PathLike[str]) -> None:
    """Write an entity to a safetensors file, whole or not at all.

    Raises:
        ValueError: if the name does not end in `.safetensors`.
        OSError: if the file cannot be written.
    """
    from safetensors.torch import save_file

    if Path(path).suffix != ".safetensors":
        raise ValueError(f"{path} does not end in .safetensors; expected such a file name")
    tensors: dict[str, Tensor] = {}
    for i, picture in enumerate(entity.pictures):
        tensors[f"pictures.{i}.semantic"] = picture.semantic.detach().cpu().contiguous()
        tensors[f"pictures.{i}.prior"] = picture.prior.detach().cpu().contiguous()
    if entity.preview is not None:
        tensors["preview"] = entity.preview.contiguous()
    description = {
        "word": entity.word,
        "name": entity.name,
        "strength": entity.strength,
        "branches": [picture.branch for picture in entity.pictures],
        "routings": [{**asdict(r), "face": None} for r in entity.routings],
    }
    metadata = {"format": FORMAT, "version": str(VERSION), "entity": json.dumps(description)}
    if entity.preview is not None and len(entity.preview):
        metadata["modelspec.thumbnail"] = _data_url(entity.preview[0])
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_entity(path: str | os.PathLike[str]) -> Entity:
    """Read what `save_entity` wrote.

    Raises:
        ValueError: if the file is missing, damaged, of another kind or version, or too large.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{path} is not there; expected an entity file")
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(
            f"{path} has {file.stat().st_size >> 20} MiB; expected at most {MAX_BYTES >> 20}"
        )
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read; expected a whole entity file") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} holds no entity; expected a file that Tora2SaveEntity wrote")
    if metadata.get("version") != str(VERSION):
        raise ValueError(
            f"{path} is of version {metadata.get('version')!r}; expected {VERSION}, "
            "or a newer Tora2"
        )
    try:
        return _entity(json.loads(metadata["entity"]), tensors)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); expected a whole entity file") from error


def _entity(described: dict[str, Any], tensors: dict[str, Tensor]) -> Entity:
    branches = described["branches"]
    if len(branches) > MAX_PICTURES or not set(branches) <= set(BRANCHES):
        raise ValueError(f"its branches are {branches!r}")
    pictures = tuple(
        PictureFeatures(
            _finite(tensors[f"pictures.{i}.semantic"]), _finite(tensors[f"pictures.{i}.prior"]), b
        )
        for i, b in enumerate(branches)
    )
    preview = tensors.get("preview")
    if preview is not None and (preview.dtype != torch.uint8 or preview.ndim != 4):
        raise ValueError(f"its preview is {preview.dtype} {tuple(preview.shape)}")
    return Entity(
        word=str(described["word"]),
        pictures=pictures,
        strength=float(described["strength"]),
        name=str(described["name"]),
        routings=tuple(_routing(r) for r in described["routings"]),
        preview=preview,
    )


def _routing(described: dict[str, Any]) -> Routing:
    left, top, right, bottom = (float(x) for x in described["box"])
    score = described["score"]
    return Routing(
        str(described["branch"]),
        (left, top, right, bottom),
        None if score is None else float(score),
        str(described["reason"]),
    )


def _finite(x: Tensor) -> Tensor:
    if not x.is_floating_point() or not bool(x.isfinite().all()):
        raise ValueError("its features are not finite numbers")
    return x


def _data_url(crop: Tensor) -> str:
    image = Image.fromarray(crop.permute(1, 2, 0).numpy())
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
