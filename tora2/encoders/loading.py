"""Encoders from files, and what to tell the user about them."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch

from .cache import FeatureCache
from .entity import Encoders
from .face import INSTALL
from .registry import PARTS, EncoderEntry, entries, entry, face_entry, object_entry

_ABSENT = {
    "semantic": "no picture can be encoded",
    "face": "people take the object branch",
    "object": "only faces can be encoded",
}


def load_encoders(
    semantic: str | os.PathLike[str] | None = None,
    face: str | os.PathLike[str] | None = None,
    object: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
    cache: FeatureCache | None = None,
) -> Encoders:
    """The encoders of an adapter for real pictures; each is optional.

    Args:
        semantic: DINOv2 as a safetensors file, or its folder.
        face: a folder with insightface's ONNX files.
        object: Mask R-CNN's state dict, or an identity network as ONNX.
        device: where they run.
        cache: where results are kept; in memory by default.

    Raises:
        ValueError: if a file cannot be used, or a package that it needs is not installed.
    """
    chosen: dict[str, EncoderEntry | None] = {
        "semantic": None if semantic is None else entry("dinov2"),
        "face": None if face is None else face_entry(Path(face).name),
        "object": None if object is None else object_entry(object),
    }
    paths = {"semantic": semantic, "face": face, "object": object}
    loaded = {
        part: None if found is None else found.load(paths[part] or "", device)
        for part, found in chosen.items()
    }
    return Encoders(
        **loaded,
        cache=FeatureCache() if cache is None else cache,
        notes=notes(chosen),
    )


def notes(
    chosen: Mapping[str, EncoderEntry | None], files: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """A `note` on every part: its encoder, and what the user calls it where that is known."""
    names = files or {}
    return tuple(note(part, chosen.get(part), names.get(part, "")) for part in PARTS)


def note(part: str, found: EncoderEntry | None, file: str = "") -> str:
    """A sentence on a loaded encoder and its licence, or on one that is absent."""
    if found is None:
        get = f"Get {entries(part)[0].files}"
        if part == "face" and find_spec("insightface") is None:
            get += f", and install insightface with: {INSTALL}"
        return f"No {part} encoder: {_ABSENT[part]}. {get}."
    return f"{part.capitalize()}: {file or found.name}. {found.licence}"
