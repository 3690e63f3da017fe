"""Entities as files, so that a character can be kept and shared.

A safetensors file with the features of every picture, the crops, and JSON metadata; the thumbnail
stands under `modelspec.thumbnail`, where model browsers look for one.
"""

import base64
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from ..fields import child, choice, finite, load_json, mapping, number, sequence, show, text
from ..files import atomic_path, regular_file
from .entity import MAX_PICTURES, MAX_STRENGTH, MAX_WORD, EncodedEntity
from .features import BRANCHES, PictureFeatures
from .routing import Routing

FORMAT = "tora2-entity"
VERSION = 1
MAX_BYTES = 256 << 20
MAX_DESCRIPTION = 1 << 20
MAX_TOKENS = 4096
MAX_WIDTH = 16384
_KEYS = ("word", "name", "strength", "branches", "routings")
_DTYPES = ("F64", "F32", "F16", "BF16")
_THUMBNAIL = 128


def save_entity(entity: EncodedEntity, path: str | os.PathLike[str]) -> None:
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


def load_entity(path: str | os.PathLike[str]) -> EncodedEntity:
    """Read what `save_entity` wrote.

    Raises:
        ValueError: if the file is missing, damaged, of another kind or version, or too large.
    """
    from safetensors import SafetensorError, safe_open

    try:
        file = regular_file(path)
    except OSError as error:
        raise ValueError(f"{path} is not there; expected an entity file") from error
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(
            f"{path} has {file.stat().st_size >> 20} MiB; expected at most {MAX_BYTES >> 20}"
        )
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise _Refusal("holds no entity; expected a file that Tora2SaveEntity wrote")
            if metadata.get("version") != str(VERSION):
                version = show(metadata.get("version"))
                raise _Refusal(f"is of version {version}; expected {VERSION}, or a newer Tora2")
            return _entity(metadata.get("entity", ""), opened)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read; expected a whole entity file") from error
    except _Refusal as error:
        raise ValueError(f"{path} {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); expected a whole entity file") from error


class _Refusal(ValueError):
    """What to say of a file that is whole."""


def _entity(description: str, opened: Any) -> EncodedEntity:
    said = mapping(load_json(description, "its description", MAX_DESCRIPTION), "it", _KEYS)
    branches = [
        choice(value, "its branches", BRANCHES)
        for value in sequence(said["branches"], "its branches", 0, MAX_PICTURES)
    ]
    names = set(opened.keys())
    routings = sequence(said["routings"], "its routings", 0, MAX_PICTURES)
    return EncodedEntity(
        word=_text(said, "word"),
        pictures=tuple(
            PictureFeatures(
                _features(opened, names, f"pictures.{i}.semantic", (MAX_TOKENS, MAX_WIDTH)),
                _features(opened, names, f"pictures.{i}.prior", (MAX_WIDTH,)),
                branch,
            )
            for i, branch in enumerate(branches)
        ),
        strength=number(said["strength"], "strength", 0, MAX_STRENGTH),
        name=_text(said, "name"),
        routings=tuple(_routing(value, f"routings[{i}]") for i, value in enumerate(routings)),
        preview=_preview(opened) if "preview" in names else None,
    )


def _routing(value: object, path: str) -> Routing:
    said = mapping(value, path, ("branch", "box", "score", "reason"), ("face",))
    sides = sequence(said["box"], child(path, "box"), 4, 4)
    left, top, right, bottom = (finite(side, child(path, "box")) for side in sides)
    score = said["score"]
    return Routing(
        choice(said["branch"], child(path, "branch"), BRANCHES),
        (left, top, right, bottom),
        None if score is None else finite(score, child(path, "score")),
        text(said["reason"], child(path, "reason"), MAX_WORD * 2, low=0, lines=True),
    )


def _text(said: Mapping[str, object], key: str) -> str:
    return text(said[key], key, MAX_WORD, low=0, lines=True)


def _features(opened: Any, names: set[str], name: str, most: tuple[int, ...]) -> Tensor:
    """A tensor whose header fits, so that no more than `most` is read."""
    if name not in names:
        raise ValueError(f"it has no {name}")
    header = opened.get_slice(name)
    shape, kind = header.get_shape(), header.get_dtype()
    if kind not in _DTYPES:
        raise ValueError(f"{name} is {show(kind)}, expected one of {', '.join(_DTYPES)}")
    if len(shape) != len(most) or any(n > high for n, high in zip(shape, most, strict=True)):
        form = "[S, D]" if len(most) == 2 else "[D]"
        raise ValueError(f"{name} has the shape {show(shape)}, expected {form}, at most {most}")
    x = opened.get_tensor(name)
    if not bool(x.isfinite().all()):
        raise ValueError(f"{name} is not finite, expected numbers")
    return x


def _preview(opened: Any) -> Tensor:
    header = opened.get_slice("preview")
    shape, kind = header.get_shape(), header.get_dtype()
    if kind != "U8" or len(shape) != 4:
        raise ValueError(f"its preview is {show(kind)} {show(shape)}, expected U8 [P, 3, H, W]")
    return opened.get_tensor("preview")


def _data_url(crop: Tensor) -> str:
    image = Image.fromarray(crop.permute(1, 2, 0).numpy())
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
