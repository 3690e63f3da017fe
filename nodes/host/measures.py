"""The networks that measure videos, under the host's memory management."""

from __future__ import annotations

import os
from typing import cast

import folder_paths
import torch
from comfy import model_management

from ...tora2.encoders.face import FaceEncoder
from ...tora2.evaluation import trackers
from ...tora2.evaluation.faces import Faces, SquareRecogniser
from ...tora2.evaluation.subjects import PARTS, Subjects
from ...tora2.evaluation.trackers import Tracker
from .encoders import hold
from .files import ADAPTERS

_WEIGHTS = (".pth", ".pt")


class HostSubjects(Subjects):
    """Subj-S's networks, which the host loads, offloads and frees."""

    def __init__(self, networks: Subjects) -> None:
        super().__init__(networks.grounding, networks.tokenizer, networks.sam, networks.dino)
        self.patcher = hold(torch.nn.ModuleList([self.grounding, self.sam, self.dino]))

    def ready(self) -> HostSubjects:
        """Itself, with its networks where they run."""
        model_management.load_model_gpu(self.patcher)
        return self


def subject_folders() -> list[str]:
    """Folders in `models/tora2` that hold Grounding DINO, SAM and DINO."""
    return [
        name
        for base in folder_paths.get_folder_paths(ADAPTERS)
        if os.path.isdir(base)
        for name in sorted(os.listdir(base))
        if all(os.path.isdir(os.path.join(base, name, part)) for part in PARTS)
    ]


def load_subjects(name: str) -> HostSubjects:
    """The networks in one of `subject_folders`.

    Raises:
        ValueError: if it is not there, or a part cannot be loaded.
    """
    if name in subject_folders():
        for base in folder_paths.get_folder_paths(ADAPTERS):
            if os.path.isdir(folder := os.path.join(base, name)):
                return HostSubjects(Subjects.from_folder(folder, "cpu"))
    bases = ", ".join(folder_paths.get_folder_paths(ADAPTERS))
    raise ValueError(f"{name[:60]!r} is in none of {bases}; expected a folder that is there")


def faces(encoder: FaceEncoder) -> Faces:
    """Face-S's networks of an encoder whose recogniser takes faces as they are cropped."""
    return Faces(encoder.detector, cast(SquareRecogniser, encoder.recogniser))


def tracker_files() -> list[str]:
    """Weights of trackers in `models/tora2`."""
    names = folder_paths.get_filename_list(ADAPTERS)
    return [name for name in names if name.lower().endswith(_WEIGHTS)]


def load_tracker(name: str, weights: str | None) -> Tracker:
    """A tracker, with weights of `tracker_files` or none.

    Raises:
        ValueError: in words, what it needs and is not here.
    """
    path = None if weights is None else folder_paths.get_full_path(ADAPTERS, weights)
    if weights is not None and path is None:
        raise ValueError(f"weights is {weights[:60]!r}, expected a file in models/{ADAPTERS}")
    return trackers.load(name, path)
