"""The face of a video, for Face-S: the best one of each frame, cropped and embedded.

The recipe is that of MSRVTT-Personalization's evaluator: the detector's best face above 0.2, its
box 17 % of its height higher and 3 % lower, squeezed to 112x112 without alignment, and ArcFace. Its
detector, YOLOv9 on WIDER FACE, is under the GPL; any of `encoders.protocols` stands in its place,
and which one is said beside every number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..encoders.pictures import Picture, on_white
from ..encoders.protocols import FaceDetector
from .metrics.subject_similarity import subject_similarity

_SURE = 0.2
_HIGHER, _LOWER = 0.17, 0.03  # of the box's height
SIDE = 112
FACE = "face"


class SquareRecogniser(Protocol):
    """A network that embeds faces as they are cropped."""

    def embed_square(self, square: Tensor) -> Tensor:
        """uint8 [3, 112, 112] to [D]."""


class Faces:
    """A detector and a recogniser."""

    def __init__(self, detector: FaceDetector, recogniser: SquareRecogniser) -> None:
        self.detector, self.recogniser = detector, recogniser

    def similarity(self, frames: Tensor, references: Tensor) -> float:
        """Face-S of one video: the mean cosine with all references; 0 where no face is found.

        Args:
            frames: uint8 [T, H, W, 3].
            references: [R, D] embeddings, as `embed` makes them.
        """
        return subject_similarity(self.embedded(frames), {FACE: references})

    def embedded(
        self, frames: Tensor, progress: Callable[[], object] = lambda: None
    ) -> list[dict[str, Tensor]]:
        """For every frame, the embedding [D] of its best face, if it has one.

        Args:
            frames: uint8 [T, H, W, 3].
            progress: is called after every frame.
        """
        found = []
        for frame in frames:
            embedding = self._embedded(frame.movedim(-1, 0))
            found.append({} if embedding is None else {FACE: embedding})
            progress()
        return found

    def embed(self, pictures: Sequence[Picture], crops: bool = False) -> Tensor:
        """[R, D] of reference pictures, without those that show no face.

        Args:
            pictures: of one person.
            crops: they are faces already, as the benchmark's are.

        Raises:
            ValueError: if no picture shows a face.
        """
        rows = [
            self.recogniser.embed_square(squeezed(on_white(picture)))
            if crops
            else self._embedded(on_white(picture))
            for picture in pictures
        ]
        kept = [row for row in rows if row is not None]
        if not kept:
            raise ValueError(
                f"none of {len(pictures)} pictures shows a face, expected at least one for Face-S"
            )
        return torch.stack(kept)

    def _embedded(self, picture: Tensor) -> Tensor | None:
        faces = [face for face in self.detector.detect(picture) if face.score > _SURE]
        if not faces:
            return None
        best = max(faces, key=lambda face: face.score)
        left, top, right, bottom = extended(best.box, (picture.shape[1], picture.shape[2]))
        part = picture[:, top:bottom, left:right]
        return self.recogniser.embed_square(squeezed(part)) if part.numel() else None


def extended(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A face's box in whole pixels, higher and lower as the benchmark takes it.

    Args:
        box: (left, top, right, bottom) in pixels.
        size: (height, width) of the picture.
    """
    height, width = size
    left, right = (round(min(max(value, 0), width)) for value in (box[0], box[2]))
    top, bottom = (round(min(max(value, 0), height)) for value in (box[1], box[3]))
    top = max(int(top - _HIGHER * (bottom - top)), 0)
    bottom = min(int(bottom + _LOWER * (bottom - top)), height - 1)
    return left, top, right, bottom


def squeezed(picture: Tensor) -> Tensor:
    """uint8 [3, 112, 112] of uint8 [3, H, W], as OpenCV's linear interpolation has it.

    Raises:
        ValueError: if OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise ValueError(
            "Face-S needs OpenCV; install it with: pip install 'comfyui-tora2[measure]'"
        ) from None
    small = cv2.resize(picture.movedim(0, -1).contiguous().cpu().numpy(), (SIDE, SIDE))
    return torch.from_numpy(small).movedim(-1, 0)
