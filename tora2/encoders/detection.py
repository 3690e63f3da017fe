"""Finding a face that a detector misses at first, and choosing one of several."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from .pictures import resize
from .protocols import Box, Face, FaceDetector

LADDER = ("as it is", "padded", "rescaled", "tiled")
CHOICES = ("largest", "index", "nearest")
MIN_SCORE = 0.5
_MAX_OVERLAP = 0.4
_WORKING_SIDE = 1280
_TILE_OVERLAP = 0.25


@dataclass(frozen=True)
class FaceChoice:
    """Which of several faces is meant.

    Attributes:
        how: `largest`; `index`, counted from the left; or `nearest` to a point.
        index: from 0, for `index`.
        point: (x, y) as fractions of width and height, for `nearest`.
    """

    how: str = "largest"
    index: int = 0
    point: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        if self.how not in CHOICES:
            raise ValueError(f"face choice {self.how!r} is unknown; expected one of {CHOICES}")
        if self.index < 0:
            raise ValueError(f"face index is {self.index}; expected 0 or more, from the left")


@dataclass(frozen=True)
class Found:
    """What a search brought.

    Attributes:
        faces: in pixels of the picture, from left to right; empty when there is none.
        tried: the rungs of the ladder that were tried; the last one found the faces.
    """

    faces: tuple[Face, ...]
    tried: tuple[str, ...]


def find(detector: FaceDetector, image: Tensor, rungs: Sequence[str] = LADDER) -> Found:
    """Look for faces, harder and harder until one is found.

    The picture as it is; padded, for a face that fills it; scaled down and up, for the sizes that a
    detector was not trained on; in overlapping tiles, for a small face in a large picture.

    Args:
        image: uint8 [3, H, W].
        rungs: the first ones of `LADDER`, to search less hard.
    """
    for i, rung in enumerate(rungs):
        faces = [
            face
            for view, scale, left, top in _views(image, rung)
            for face in (_moved(f, scale, left, top) for f in detector.detect(view))
            if face.score >= MIN_SCORE and _inside(face, image)
        ]
        if faces:
            found = sorted(_distinct(faces), key=lambda face: face.box[0])
            return Found(tuple(found), tuple(rungs[: i + 1]))
    return Found((), tuple(rungs))


def choose(faces: Sequence[Face], choice: FaceChoice, size: tuple[int, int]) -> tuple[Face, str]:
    """One of several faces, and in words why that one.

    Args:
        faces: at least one, from left to right.
        size: (height, width) of the picture.
    """
    largest = max(faces, key=lambda face: face.area)
    if choice.how == "nearest":
        x, y = choice.point[0] * size[1], choice.point[1] * size[0]
        nearest = min(faces, key=lambda face: math.dist(_center(face.box), (x, y)))
        return nearest, f"the nearest to ({choice.point[0]:g}, {choice.point[1]:g})"
    if choice.how == "index" and choice.index < len(faces):
        return faces[choice.index], f"number {choice.index} from the left"
    if choice.how == "index":
        return largest, f"the largest, as there is no number {choice.index}"
    return largest, "the largest"


def _views(image: Tensor, rung: str) -> Iterator[tuple[Tensor, float, float, float]]:
    """Pictures to look at, as (view, scale, left, top): a view's pixel u is left + u / scale."""
    height, width = image.shape[1:]
    side = max(height, width)
    if rung == "as it is":
        yield image, 1.0, 0.0, 0.0
    elif rung == "padded":
        yield _padded(image, side // 2)
    elif rung == "rescaled":
        yield _padded(image, 3 * side // 2)
        scale = 2.0 if side <= _WORKING_SIDE // 2 else 0.5
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        yield resize(image, size), scale, 0.0, 0.0
    else:
        count = min(4, max(2, math.ceil(2 * side / _WORKING_SIDE)))
        for top, tile_height in _spans(height, count):
            for left, tile_width in _spans(width, count):
                tile = image[:, top : top + tile_height, left : left + tile_width]
                scale = max(1.0, _WORKING_SIDE / 2 / max(tile_height, tile_width))
                size = (max(1, round(tile_height * scale)), max(1, round(tile_width * scale)))
                yield resize(tile, size), scale, float(left), float(top)


def _padded(image: Tensor, margin: int) -> tuple[Tensor, float, float, float]:
    padded = F.pad(image, (margin,) * 4, value=127)
    scale = min(1.0, _WORKING_SIDE / max(padded.shape[1:]))
    size = (max(1, round(padded.shape[1] * scale)), max(1, round(padded.shape[2] * scale)))
    return resize(padded, size), scale, -float(margin), -float(margin)


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    """`count` overlapping (start, length) that cover 0 … length."""
    span = min(length, math.ceil(length / count * (1 + _TILE_OVERLAP)))
    return [(round(i * (length - span) / (count - 1)), span) for i in range(count)]


def _moved(face: Face, scale: float, left: float, top: float) -> Face:
    x0, y0, x1, y1 = face.box
    box = (x0 / scale + left, y0 / scale + top, x1 / scale + left, y1 / scale + top)
    points = tuple((x / scale + left, y / scale + top) for x, y in face.points)
    return Face(box, face.score, points)


def _center(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _inside(face: Face, image: Tensor) -> bool:
    x, y = _center(face.box)
    return 0 <= x < image.shape[2] and 0 <= y < image.shape[1] and face.area > 0


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """The most certain of faces that overlap, as neighbouring views see one twice."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(_overlap(face.box, other.box) <= _MAX_OVERLAP for other in kept):
            kept.append(face)
    return kept


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
