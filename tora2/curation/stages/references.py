"""Cuts the entities out of the frames that have their masks; people must show a face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch

from ...encoders.detection import LADDER, find
from ...encoders.protocols import FaceDetector
from ...settings import Within
from ..candidate import Candidate, Entity, Frames
from ..cutouts import cut_out, on_white
from ..pretrained import FOLDER, on_gpu
from ..stage import Need, Resources

_PLACES = (
    Path(FOLDER, "antelopev2"),
    Path(FOLDER, "insightface/models/antelopev2"),
    Path("~/.insightface/models/antelopev2"),
)
_RUNGS = LADDER[:2]


@dataclass(frozen=True)
class Config:
    """The section `references` of the settings.

    Attributes:
        faces: `require` leaves out people whose face is not found, `prefer` puts the pictures
            with a face first, `off` looks for none.
        model: folder with insightface's ONNX files; searched if not given.
        smallest: pixels that both sides of a cut-out must have.
        device: `auto`, `cpu` or a GPU such as `cuda`.
        gpus: share of a GPU that a worker takes, where it runs on one.
    """

    faces: Literal["require", "prefer", "off"] = "require"
    model: str | None = None
    smallest: Annotated[int, Within(1, 4096)] = 32
    device: str = "auto"
    gpus: Annotated[float, Within(0, 1)] = 0.05

    def folder(self) -> Path | None:
        """Where the face networks are."""
        places = _PLACES if self.model is None else (Path(self.model),)
        folders = (place.expanduser() for place in places)
        return next((folder for folder in folders if any(folder.glob("*.onnx"))), None)


class References:
    """See the module. Score: `references`, the least that any entity has."""

    name = "references"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.detector: FaceDetector | None = None

    @property
    def resources(self) -> Resources:
        """See `Stage`."""
        faces = self.config.faces != "off" and on_gpu(self.config.device)
        return Resources(1, self.config.gpus if faces else 0, 1 << 30)

    def needs(self) -> Sequence[str]:
        """See `Stage`."""
        if self.config.faces == "off":
            return []
        needs = []
        if find_spec("insightface") is None:
            where = "pip install 'comfyui-tora2[face]'"
            needs.append(Need("insightface", where, "300 MB", "MIT"))
        if self.config.folder() is None:
            places = _PLACES if self.config.model is None else (self.config.model,)
            where = (
                f"searched in {', '.join(map(str, places))} (the setting references.model); "
                "published at github.com/deepinsight/insightface, and never fetched for you "
                "(references.faces: off looks for no faces)"
            )
            licence = "for non-commercial research only"
            needs.append(Need("insightface's antelopev2", where, "361 MB", licence))
        return [need.sentence(self.name) for need in needs]

    def open(self) -> None:
        """See `Stage`."""
        if self.config.faces == "off":
            return
        from ...device import resolve_device
        from ...encoders.face import InsightFace

        folder = self.config.folder()
        if folder is None:
            raise ValueError(self.needs()[-1])
        self.detector = InsightFace(folder, resolve_device(self.config.device))

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """See `Stage`."""
        places = sorted({place for entity in candidate.entities for place in entity.masks})
        if not places:
            return [candidate.drop(self.name, "it has no entities with masks")]
        frames = dict(zip(places, candidate.frames(places), strict=True))
        kept: list[Entity] = []
        faults: list[str] = []
        for entity in candidate.entities:
            cutouts, fault = self._references(entity, frames)
            if fault is None:
                kept.append(replace(entity, references=tuple(cutouts)))
            else:
                faults.append(f"{entity.word}: {fault}")
        if not kept:
            return [candidate.drop(self.name, f"no entity is left ({'; '.join(faults[:3])})")]
        least = min(len(entity.references) for entity in kept)
        candidate = replace(candidate, entities=tuple(kept))
        return [candidate.with_scores(references=float(least), entities=float(len(kept)))]

    def _references(
        self, entity: Entity, frames: dict[int, Frames]
    ) -> tuple[list[Frames], str | None]:
        """An entity's cut-outs, those with a face first, or why it has none."""
        cutouts = [cut_out(frames[place], mask) for place, mask in sorted(entity.masks.items())]
        large = [one for one in cutouts if min(one.shape[:2]) >= self.config.smallest]
        if not large:
            side = max((min(one.shape[:2]) for one in cutouts), default=0)
            return [], f"its cut-outs are {side} pixels, expected {self.config.smallest} at least"
        if entity.kind != "human" or self.detector is None:
            return large, None
        faces = [self._has_face(one) for one in large]
        if self.config.faces == "require" and not any(faces):
            return [], "no face is found in it"
        order = np.argsort(np.logical_not(faces), kind="stable")
        return [large[place] for place in order], None

    def _has_face(self, cutout: Frames) -> bool:
        assert self.detector is not None
        picture = torch.from_numpy(on_white(cutout)).movedim(-1, 0).contiguous()
        return bool(find(self.detector, picture, _RUNGS).faces)


def build(config: Config) -> References:
    """The stage."""
    return References(config)
