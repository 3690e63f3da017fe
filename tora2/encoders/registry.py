"""The encoders that can be chosen by name, with their licences; others can be registered."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .dino import load_dino
from .face import load_face
from .object import load_mask_rcnn
from .onnx import OnnxPrior
from .onnx_file import signature

PARTS = ("semantic", "face", "object")


@dataclass(frozen=True)
class EncoderEntry:
    """One encoder.

    Attributes:
        name: what it is chosen by.
        part: `semantic`, `face` or `object`.
        dim: channels that it gives; an adapter is trained for one width.
        files: what to put where, and how large it is.
        licence: of the weights, as a sentence to show where they are loaded.
        load: makes a SemanticEncoder, FaceEncoder or PriorEncoder of a path and a device.
    """

    name: str
    part: str
    dim: int
    files: str
    licence: str
    load: Callable[[str | os.PathLike[str], torch.device | str], Any]

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ValueError(f"part is {self.part!r}; expected one of {PARTS}")


_ENTRIES: dict[str, EncoderEntry] = {}


def register(entry: EncoderEntry) -> None:
    """Add an encoder.

    Raises:
        ValueError: if the name is taken.
    """
    if entry.name in _ENTRIES:
        raise ValueError(f"encoder {entry.name!r} is registered already; expected a new name")
    _ENTRIES[entry.name] = entry


def entries(part: str) -> tuple[EncoderEntry, ...]:
    """Those of one part, the default first."""
    if part not in PARTS:
        raise ValueError(f"part is {part!r}; expected one of {PARTS}")
    return tuple(entry for entry in _ENTRIES.values() if entry.part == part)


def entry(name: str) -> EncoderEntry:
    """By name.

    Raises:
        ValueError: if no encoder has that name.
    """
    if name not in _ENTRIES:
        raise ValueError(f"encoder {name!r} is unknown; expected one of {', '.join(_ENTRIES)}")
    return _ENTRIES[name]


def face_entry(name: str) -> EncoderEntry:
    """The face encoder that a folder or file is for, by its name."""
    return entry("auraface" if "aura" in name.lower() else "insightface")


def object_entry(path: str | os.PathLike[str]) -> EncoderEntry:
    """The object encoder that a file is for: ONNX by its inputs, anything else is Mask R-CNN's.

    Raises:
        ValueError: if an ONNX file is refused.
    """
    if Path(path).suffix.lower() != ".onnx":
        return entry("maskrcnn")
    return entry("osnet" if len(signature(path).inputs) == 1 else "masa")


def _onnx(name: str) -> Callable[[str | os.PathLike[str], torch.device | str], OnnxPrior]:
    return lambda path, device: OnnxPrior(path, device, name)


for _entry in (
    EncoderEntry(
        "dinov2",
        "semantic",
        1024,
        "facebook/dinov2-large: model.safetensors, 1.22 GB",
        "DINOv2's weights are under Apache-2.0.",
        load_dino,
    ),
    EncoderEntry(
        "insightface",
        "face",
        512,
        "insightface's antelopev2 (361 MB) or buffalo_l (289 MB), unpacked into a folder",
        "insightface's face networks are for non-commercial research only.",
        load_face,
    ),
    EncoderEntry(
        "auraface",
        "face",
        512,
        "fal/AuraFace-v1: glintr100.onnx, 261 MB, and a face detector in the same folder",
        "AuraFace's recogniser is under Apache-2.0; the detector beside it is insightface's, for "
        "non-commercial research only.",
        load_face,
    ),
    EncoderEntry(
        "maskrcnn",
        "object",
        1024,
        "torchvision's maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth, 170 MB",
        "torchvision's Mask R-CNN is under BSD-3-Clause.",
        load_mask_rcnn,
    ),
    EncoderEntry(
        "osnet",
        "object",
        512,
        "OSNet as ONNX with an input [N, 3, 256, 128] (people only)",
        "OSNet's code is under MIT; its weights come from research data sets.",
        _onnx("osnet"),
    ),
    EncoderEntry(
        "masa",
        "object",
        256,
        "MASA as ONNX with inputs [N, 3, H, W] and boxes [N, 4]",
        "MASA's weights are under Apache-2.0.",
        _onnx("masa"),
    ),
):
    register(_entry)
