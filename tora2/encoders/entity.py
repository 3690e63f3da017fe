"""From reference pictures to an entity: preparation, routing and encoding, each done once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..fields import number, text
from .cache import FeatureCache
from .detection import LADDER, FaceChoice, Found, find
from .face import FaceEncoder
from .features import PictureFeatures
from .fingerprint import picture_fingerprint
from .pictures import Picture, content_box, crop, on_white, pad_square, resize
from .protocols import Box, Face, FaceDetector, JointEncoder, PriorEncoder, SemanticEncoder
from .routing import KINDS, Routing, route, rungs

MAX_PICTURES = 8
MAX_WORD = 1000
MAX_STRENGTH = 10.0
PREVIEW = 224
_FACE_MARGIN = 0.25


@dataclass(frozen=True, eq=False)
class Encoders:
    """The encoders that are at hand. A joint one stands for all others.

    Attributes:
        semantic: ε_img, such as DINOv2; needed unless there is a joint encoder.
        face: for people; without it they take the object branch.
        object: for everything else; needed where a picture takes the object branch.
        joint: gives both parts at once (the bundled model's).
        cache: keeps results by picture and encoder.
        notes: sentences for the user: licences, and what is missing.
    """

    semantic: SemanticEncoder | None = None
    face: FaceEncoder | None = None
    object: PriorEncoder | None = None
    joint: JointEncoder | None = None
    cache: FeatureCache = field(default_factory=FeatureCache)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class EncodedEntity:
    """What one entity is called and looks like: its word, and its pictures as features.

    Attributes:
        word: the entity word as it stands in the prompt; "" without one.
        pictures: its encoded reference pictures, each a reference of its own; may be empty.
        strength: how much of the entity is added to the video, from 0 to `MAX_STRENGTH`.
        name: the id or name of its entity in the trajectories; "" for the word.
        routings: for each picture, the branch, box, score and reason.
        preview: uint8 [P, 3, 224, 224], the crops that the prior encoders read; None without any.
        start, end: the part of the sampling, in [0, 1], in which its pictures act; not kept in
            files.
        motion_strength: how strongly its paths act, in [0, 1]; 0 is the same as not drawing them.
        motion_start, motion_end: the part of the sampling in which they do. None of the three is
            kept in files.
    """

    word: str = ""
    pictures: tuple[PictureFeatures, ...] = ()
    strength: float = 1.0
    name: str = ""
    routings: tuple[Routing, ...] = ()
    preview: Tensor | None = None
    start: float = 0.0
    end: float = 1.0
    motion_strength: float = 1.0
    motion_start: float = 0.0
    motion_end: float = 1.0

    def __post_init__(self) -> None:
        number(self.start, "start", 0, 1)
        number(self.end, "end", self.start, 1)
        number(self.motion_strength, "motion_strength", 0, 1)
        number(self.motion_start, "motion_start", 0, 1)
        number(self.motion_end, "motion_end", self.motion_start, 1)
        text(self.word, "word", MAX_WORD, low=0, lines=True)
        text(self.name, "name", MAX_WORD, low=0, lines=True)
        number(self.strength, "strength", 0, MAX_STRENGTH)
        if len(self.pictures) > MAX_PICTURES:
            raise ValueError(
                f"an entity has {len(self.pictures)} pictures; expected at most {MAX_PICTURES}"
            )
        crops = self.preview
        if crops is not None and (
            crops.dtype != torch.uint8
            or crops.shape[1:] != (3, PREVIEW, PREVIEW)
            or len(crops) > MAX_PICTURES
        ):
            raise ValueError(
                f"its preview is {crops.dtype} {tuple(crops.shape)}; expected uint8 "
                f"[P, 3, {PREVIEW}, {PREVIEW}] of at most {MAX_PICTURES} pictures"
            )

    @property
    def reason(self) -> str:
        """A line for each picture that says which branch it took, and why."""
        return "\n".join(f"{i}: {r.reason}" for i, r in enumerate(self.routings, start=1))

    def with_pictures_of(self, other: "EncodedEntity") -> "EncodedEntity":
        """The other entity, with this one's pictures before its own."""
        previews = [x.preview for x in (self, other) if x.preview is not None]
        return replace(
            other,
            word=other.word or self.word,
            name=other.name or self.name,
            pictures=self.pictures + other.pictures,
            routings=self.routings + other.routings,
            preview=torch.cat(previews) if previews else None,
        )


@dataclass(frozen=True, eq=False)
class EncodedPicture:
    """One picture's features, how it was routed, and the crop (uint8 [3, 224, 224])."""

    features: PictureFeatures
    routing: Routing
    crop: Tensor


def encode_entity(
    encoders: Encoders,
    pictures: Sequence[Picture],
    word: str = "",
    kind: str = "auto",
    strength: float = 1.0,
    name: str = "",
    choice: FaceChoice | None = None,
    box: Box | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EncodedEntity:
    """Encode the reference pictures of one entity.

    Args:
        pictures: at most `MAX_PICTURES`; their alpha says where the entity is.
        word: the entity word.
        kind: `auto`, `human` or `object`.
        strength: multiplies what the entity adds.
        name: the id or name of the entity in the trajectories.
        choice: which face, where there are several.
        box: where the entity is in every picture; by default what their alpha shows.
        progress: is called with the pictures done and their number.

    Raises:
        ValueError: if there are too many pictures, an encoder that one needs is missing, or the
            word, the name or the strength is out of an entity's bounds.
    """
    if len(pictures) > MAX_PICTURES:
        raise ValueError(f"there are {len(pictures)} pictures; expected at most {MAX_PICTURES}")
    encoded = []
    for i, picture in enumerate(pictures):
        encoded.append(encode_picture(encoders, picture, word, kind, choice, box))
        if progress is not None:
            progress(i + 1, len(pictures))
    return EncodedEntity(
        word=word,
        pictures=tuple(x.features for x in encoded),
        strength=strength,
        name=name,
        routings=tuple(x.routing for x in encoded),
        preview=torch.stack([x.crop for x in encoded]) if encoded else None,
    )


def encode_picture(
    encoders: Encoders,
    picture: Picture,
    word: str = "",
    kind: str = "auto",
    choice: FaceChoice | None = None,
    box: Box | None = None,
) -> EncodedPicture:
    """Route and encode one picture; see `encode_entity`."""
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is unknown; expected one of {KINDS}")
    image, content = on_white(picture), content_box(picture) if box is None else box
    if encoders.joint is not None:
        part = crop(image, content)
        features = encoders.joint.encode([part])[0]
        reason = "Object branch: the loaded encoder does not tell people from things."
        return EncodedPicture(features, Routing("object", content, None, reason), _preview(part))
    if encoders.semantic is None:
        raise ValueError("no semantic encoder is loaded; expected DINOv2 (facebook/dinov2-large)")
    name = picture_fingerprint(picture)
    found = None
    if encoders.face is not None and kind != "object":
        tried = rungs(kind, word)
        found = _find(encoders.cache, name, encoders.face.detector, image, tried)
    routing = route(content, (image.shape[1], image.shape[2]), found, kind, word, choice)
    prior = _prior(encoders, name, image, routing)
    semantic = encoders.semantic
    tokens = encoders.cache.get(
        f"{name}/semantic/{content}/{semantic.key}",
        lambda: semantic.encode(pad_square(crop(image, content))),
    )
    features = PictureFeatures(tokens, prior, routing.branch)
    return EncodedPicture(features, routing, _preview(crop(image, _seen(routing))))


def _prior(encoders: Encoders, name: str, image: Tensor, routing: Routing) -> Tensor:
    box = routing.box
    if routing.face is not None:
        assert encoders.face is not None
        recogniser, face = encoders.face.recogniser, routing.face
        key = f"{name}/face/{face.points}/{recogniser.key}"
        return encoders.cache.get(key, lambda: recogniser.embed(image, face))
    encoder = encoders.object
    if encoder is None:
        raise ValueError(
            "no object encoder is loaded, which this picture needs "
            f"({routing.reason.rstrip('.')}); expected Mask R-CNN or another one"
        )
    key = f"{name}/object/{box}/{encoder.key}"
    return encoders.cache.get(key, lambda: encoder.encode(image, box))


def _find(
    cache: FeatureCache, name: str, detector: FaceDetector, image: Tensor, tried: Sequence[str]
) -> Found:
    """`detection.find`, kept in the cache as rows of (rung, score, box, points)."""

    def compute() -> Tensor:
        found = find(detector, image, tried)
        last = LADDER.index(found.tried[-1])
        rows = [[last, f.score, *f.box, *sum(f.points, ())] for f in found.faces]
        return torch.tensor(rows, dtype=torch.float64)

    rows = cache.get(f"{name}/faces/{len(tried)}/{detector.key}", compute).tolist()
    faces = tuple(
        Face((r[2], r[3], r[4], r[5]), r[1], tuple(zip(r[6::2], r[7::2], strict=True)))
        for r in rows
    )
    return Found(faces, tuple(LADDER[: int(rows[0][0]) + 1]) if rows else tuple(tried))


def _seen(routing: Routing) -> Box:
    """The box to show: a face with some of what is around it."""
    left, top, right, bottom = routing.box
    if routing.face is None:
        return routing.box
    margin = _FACE_MARGIN * max(right - left, bottom - top)
    return left - margin, top - margin, right + margin, bottom + margin


def _preview(part: Tensor) -> Tensor:
    return resize(pad_square(part), (PREVIEW, PREVIEW))
