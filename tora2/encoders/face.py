"""Faces through insightface: its detectors and recognisers in the layouts it publishes.

A folder such as `antelopev2` or `buffalo_l` holds a detector (SCRFD or RetinaFace) and a recogniser
(ArcFace, 512 wide); which file is which is read from the networks' signatures, so that other
recognisers (AuraFace) take part under any name. The identity vector is the recogniser's output as
it is, not normalised, as ConsisID (arXiv 2411.17440) feeds it: its length says how sure the network
is. See docs/method.md, Personalization.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .fingerprint import file_fingerprint
from .onnx import providers, running
from .onnx_file import Signature, signature
from .protocols import Face, FaceDetector, FaceRecogniser

INSTALL = "python -m pip install insightface onnxruntime"
_DETECTION_SIZE = (640, 640)


@dataclass(frozen=True)
class FaceEncoder:
    """A detector and a recogniser that work together."""

    detector: FaceDetector
    recogniser: FaceRecogniser

    @property
    def key(self) -> str:
        """Tells its results from those of other weights."""
        return f"{self.detector.key}-{self.recogniser.key}"


class InsightFace:
    """insightface's networks as FaceDetector and FaceRecogniser.

    They are loaded when they are first needed and again after `free`.

    Args:
        folder: holds the ONNX files; other networks in it (age, landmarks) are left alone.
        device: onnxruntime's providers follow it.
        recogniser: an ONNX file to use in place of the folder's own.

    Raises:
        ValueError: if insightface is not installed, a file is refused, or a part is missing.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        device: torch.device | str = "cpu",
        recogniser: str | os.PathLike[str] | None = None,
    ) -> None:
        _model_zoo()
        if not Path(folder).is_dir():
            raise ValueError(
                f"{folder} is not there; expected a folder with insightface's ONNX files, "
                "such as models/insightface/models/antelopev2"
            )
        self.device = torch.device(device)
        found = {file: signature(file) for file in sorted(Path(folder).glob("*.onnx"))}
        self._detector = _the(found, "detection", folder)
        if recogniser is None:
            self._recogniser = _the(found, "recognition", folder)
        else:
            self._recogniser = Path(recogniser)
            found[self._recogniser] = signature(recogniser)
        shapes = found[self._recogniser]
        if _kind(shapes) != "recognition" or not shapes.outputs[0][-1:] > (0,):
            raise ValueError(
                f"{self._recogniser} is not a face recogniser; expected ArcFace's layout, "
                "a face of 112x112 to 512 numbers"
            )
        names = (file_fingerprint(file) for file in (self._detector, self._recogniser))
        self.key = f"insightface-{hashlib.sha256(''.join(names).encode()).hexdigest()[:16]}"
        self.dim = shapes.outputs[0][-1]
        self._networks: tuple[Any, Any] | None = None

    @property
    def files(self) -> tuple[Path, Path]:
        """The detector's and the recogniser's."""
        return self._detector, self._recogniser

    @property
    def loaded(self) -> bool:
        """Whether the networks are in memory."""
        return self._networks is not None

    def free(self) -> None:
        """Let go of the networks' memory; the next call loads them again."""
        self._networks = None

    def detect(self, image: Tensor) -> Sequence[Face]:
        """uint8 [3, H, W] to the faces in it."""
        detector, _ = self._load()
        with running(self._detector):
            boxes, points = detector.detect(_bgr(image), input_size=_DETECTION_SIZE)
        if points is None:
            raise ValueError(f"{self._detector} gives no landmarks; expected a detector with five")
        return [
            Face(tuple(box[:4].tolist()), float(box[4]), tuple((float(x), float(y)) for x, y in p))
            for box, p in zip(boxes, points, strict=True)
        ]

    @torch.no_grad()
    def embed(self, image: Tensor, face: Face) -> Tensor:
        """uint8 [3, H, W] and one of its faces to [dim], float32, not normalised."""
        from insightface.utils import face_align

        _, recogniser = self._load()
        points = np.array(face.points, dtype=np.float32)
        with running(self._recogniser):
            aligned = face_align.norm_crop(_bgr(image), points, recogniser.input_size[0])
            vector = torch.from_numpy(np.array(recogniser.get_feat(aligned))).flatten().float()
            if len(vector) != self.dim:
                raise ValueError(f"{len(vector)} numbers came out in place of {self.dim}")
        return vector

    @torch.no_grad()
    def embed_square(self, square: Tensor) -> Tensor:
        """uint8 [3, 112, 112], a face as it was cropped, not aligned, to [dim]; see `embed`."""
        _, recogniser = self._load()
        with running(self._recogniser):
            vector = torch.from_numpy(np.array(recogniser.get_feat(_bgr(square)))).flatten().float()
            if len(vector) != self.dim:
                raise ValueError(f"{len(vector)} numbers came out in place of {self.dim}")
        return vector

    def _load(self) -> tuple[Any, Any]:
        if self._networks is None:
            zoo, where = _model_zoo(), providers(self.device)
            with running(self._detector.parent):
                detector, recogniser = (zoo.get_model(str(x), providers=where) for x in self.files)
                detector.prepare(0, input_size=_DETECTION_SIZE)
            self._networks = detector, recogniser
        return self._networks


def load_face(
    folder: str | os.PathLike[str],
    device: torch.device | str = "cpu",
    recogniser: str | os.PathLike[str] | None = None,
) -> FaceEncoder:
    """A FaceEncoder whose two parts come from insightface; see `InsightFace`."""
    networks = InsightFace(folder, device, recogniser)
    return FaceEncoder(networks, networks)


def _model_zoo() -> Any:
    try:
        from insightface.model_zoo import model_zoo
    except ImportError as error:
        raise ValueError(
            f"insightface is not installed, which face pictures need; install it with: {INSTALL}"
        ) from error
    return model_zoo


def _bgr(image: Tensor) -> Any:
    return np.ascontiguousarray(image.flip(0).permute(1, 2, 0).numpy())


def _kind(shapes: Signature) -> str:
    """`detection`, `recognition` or `other`, as insightface routes files."""
    if len(shapes.outputs) in (6, 9, 10, 15):
        return "detection"
    if len(shapes.inputs) != 1 or len(shapes.outputs) != 1 or len(shapes.inputs[0]) != 4:
        return "other"
    height, width = shapes.inputs[0][2:]
    aligned = height == width and height >= 112 and height % 16 == 0 and height != 192
    return "recognition" if aligned else "other"


def _the(found: dict[Path, Signature], kind: str, folder: str | os.PathLike[str]) -> Path:
    for file, shapes in found.items():
        if _kind(shapes) == kind:
            return file
    names = ", ".join(file.name for file in found) or "no ONNX file"
    raise ValueError(
        f"{folder} has no face {kind} network ({names}); "
        "expected the files of antelopev2 or buffalo_l"
    )
