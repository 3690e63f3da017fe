"""Faces through insightface: its detectors and recognisers in the layouts it publishes.

A folder such as `antelopev2` or `buffalo_l` holds a detector (SCRFD or RetinaFace) and a recogniser
(ArcFace, 512 wide); which file is which is read from the networks' signatures, so that other
recognisers (AuraFace) take part under any name. The identity vector is the recogniser's output as
it is, not normalised, as ConsisID feeds it (METHOD 1.1).
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
from .onnx import check, providers, session_errors
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
        files = sorted(Path(folder).glob("*.onnx"))
        kinds = {file: _kind(file) for file in files}
        self._detector = _the(kinds, "detection", folder)
        if recogniser is None:
            self._recogniser = _the(kinds, "recognition", folder)
        else:
            self._recogniser = Path(recogniser)
            if _kind(self._recogniser) != "recognition":
                raise ValueError(
                    f"{recogniser} is not a face recogniser; expected ArcFace's layout"
                )
        names = (file_fingerprint(file) for file in (self._detector, self._recogniser))
        self.key = f"insightface-{hashlib.sha256(''.join(names).encode()).hexdigest()[:16]}"
        self.dim = _output_width(self._recogniser)
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
        aligned = face_align.norm_crop(_bgr(image), points, recogniser.input_size[0])
        return torch.from_numpy(np.array(recogniser.get_feat(aligned))).flatten().float()

    def _load(self) -> tuple[Any, Any]:
        if self._networks is None:
            zoo, where = _model_zoo(), providers(self.device)
            try:
                detector, recogniser = (zoo.get_model(str(x), providers=where) for x in self.files)
            except session_errors() as error:
                reason = str(error).splitlines()[0]
                raise ValueError(
                    f"{self._detector.parent} cannot be run ({reason}); "
                    "expected insightface's ONNX files"
                ) from error
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


def _kind(file: Path) -> str:
    """`detection`, `recognition` or `other`, from the signature, as insightface routes files."""
    check(file)
    import onnx

    graph = onnx.load(os.fspath(file), load_external_data=False).graph
    if len(graph.output) in (6, 9, 10, 15):
        return "detection"
    initial = {tensor.name for tensor in graph.initializer}
    inputs = [x for x in graph.input if x.name not in initial]
    shape = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim] if inputs else []
    square = len(shape) == 4 and shape[2] == shape[3] and shape[2] >= 112 and shape[2] % 16 == 0
    alone = len(inputs) == 1 and len(graph.output) == 1
    return "recognition" if square and alone and shape[2] != 192 else "other"


def _the(kinds: dict[Path, str], kind: str, folder: str | os.PathLike[str]) -> Path:
    for file, found in kinds.items():
        if found == kind:
            return file
    names = ", ".join(file.name for file in kinds) or "no ONNX file"
    raise ValueError(
        f"{folder} has no face {kind} network ({names}); "
        "expected the files of antelopev2 or buffalo_l"
    )


def _output_width(file: Path) -> int:
    import onnx

    output = onnx.load(os.fspath(file), load_external_data=False).graph.output[0]
    width = output.type.tensor_type.shape.dim[-1].dim_value
    if not width:
        raise ValueError(f"{file} does not say how wide its output is; expected 512 for ArcFace")
    return int(width)
