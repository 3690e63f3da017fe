"""What an encoder has to offer. Anything with these methods can take the place of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from .features import PictureFeatures

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of the picture, origin top-left, y down."""


class SemanticEncoder(Protocol):
    """ε_img of Eq. 3.

    Attributes:
        key: tells this encoder's results from those of other weights.
        dim: channels of a token.
    """

    @property
    def key(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, square: Tensor) -> Tensor:
        """uint8 [3, S, S], on white and of any S, to tokens [N, dim]."""


class PriorEncoder(Protocol):
    """ε_prior of Eq. 3 for everything without a face: an identity vector of what is in a box."""

    @property
    def key(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, image: Tensor, box: Box) -> Tensor:
        """uint8 [3, H, W], on white, and where the entity is in it, to [dim]."""


@dataclass(frozen=True)
class Face:
    """A face that a detector found.

    Attributes:
        box: in pixels; it may leave the picture.
        score: the detector's confidence in [0, 1].
        points: (x, y) in pixels of the eyes (left in the picture first), nose and mouth corners.
    """

    box: Box
    score: float
    points: tuple[tuple[float, float], ...]

    @property
    def area(self) -> float:
        """Square pixels."""
        left, top, right, bottom = self.box
        return max(0.0, right - left) * max(0.0, bottom - top)


class FaceDetector(Protocol):
    """Finds faces in a picture of any size; `detection.find` helps it with difficult ones."""

    @property
    def key(self) -> str: ...

    def detect(self, image: Tensor) -> Sequence[Face]:
        """uint8 [3, H, W] to the faces in it, in any order."""


class FaceRecogniser(Protocol):
    """ε_prior of Eq. 3 for people."""

    @property
    def key(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def embed(self, image: Tensor, face: Face) -> Tensor:
        """uint8 [3, H, W] and one of its faces to [dim]."""


class JointEncoder(Protocol):
    """One network that gives both parts of Eq. 3, as the bundled model's does."""

    def encode(self, pictures: Sequence[Tensor]) -> Sequence[PictureFeatures]:
        """uint8 [3, H, W] each, on white."""
