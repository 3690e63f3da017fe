"""Real photographs (public domain, from scikit-image) through a real face detector, end to end."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tora2.encoders import detection
from tora2.encoders.detection import LADDER
from tora2.encoders.entity import Encoders, encode_entity
from tora2.encoders.face import FaceEncoder
from tora2.encoders.pictures import Picture, crop, load_picture, resize
from tora2.encoders.protocols import Face

skimage = pytest.importorskip("skimage", reason="scikit-image's photographs are not installed")


@dataclass
class Boosted:
    """scikit-image's frontal face cascade; the identity is the mean colour of the face."""

    cascade: Any
    key: str = "lbp"
    dim: int = 3
    looked: list[int] = field(default_factory=list)

    def detect(self, image):
        self.looked.append(max(image.shape[1:]))
        found = self.cascade.detect_multi_scale(
            img=image.permute(1, 2, 0).numpy(),
            scale_factor=1.25,
            step_ratio=1.5,
            min_size=(40, 40),
            max_size=(160, 160),
        )
        return [
            Face(
                (d["c"], d["r"], d["c"] + d["width"], d["r"] + d["height"]),
                0.9,
                ((float(d["c"]), float(d["r"])),) * 5,
            )
            for d in found
        ]

    def embed(self, image, face):
        return crop(image, face.box).float().mean((1, 2))

    def encode(self, image, box=None):
        mean = image.float().mean((1, 2))
        return mean[None] if box is None else mean


@pytest.fixture(autouse=True)
def smaller_views(monkeypatch) -> None:
    """The cascade is slow on large pictures."""
    monkeypatch.setattr(detection, "_WORKING_SIDE", 640)


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    boosted = Boosted(Cascade(lbp_frontal_face_cascade_filename()))
    return Encoders(boosted, FaceEncoder(boosted, boosted), boosted)


def photograph(name: str, side: int = 256) -> torch.Tensor:
    picture = load_picture(Path(skimage.__file__).parent / "data" / name)
    height, width = picture.size
    scale = side / max(height, width)
    return resize(picture.rgb, (round(height * scale), round(width * scale)))


def portrait() -> torch.Tensor:
    return photograph("astronaut.png")


def crowd() -> torch.Tensor:
    return torch.cat([portrait()[:, :110, 52:172]] * 3, dim=2)


def tiny_face() -> torch.Tensor:
    """A face of 30 pixels, which the cascade does not see, in a corner of a plain wall."""
    wall = torch.full((3, 300, 300), 200, dtype=torch.uint8)
    wall[:, 40:184, 60:204] = resize(portrait(), (144, 144))
    return wall


def cartoon() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(90.0), torch.arange(90.0), indexing="ij")

    def disc(cx: float, cy: float, r: float) -> torch.Tensor:
        return (x - cx) ** 2 + (y - cy) ** 2 < r**2

    out = torch.full((3, 90, 90), 255, dtype=torch.uint8)
    out[:, disc(45, 45, 38)] = torch.tensor([[255], [220], [0]], dtype=torch.uint8)
    out[:, disc(32, 36, 5) | disc(58, 36, 5) | (disc(45, 53, 18) & (y > 58))] = 0
    return out


def encode(encoders: Encoders, image: torch.Tensor, word: str, kind: str = "auto") -> Any:
    return encode_entity(encoders, [Picture(image)], word, kind)


@pytest.mark.parametrize("word", ["woman", "", "Eileen"])
def test_a_portrait_takes_the_face_branch(encoders, word: str) -> None:
    entity = encode(encoders, portrait(), word)
    assert entity.pictures[0].branch == "face"
    left, top, right, bottom = entity.routings[0].box
    assert 80 < left < right < 145 and 25 < top < bottom < 90  # her face, in 256 pixels


def test_a_crowd_has_three_faces(encoders) -> None:
    entity = encode(encoders, crowd(), "people", "human")
    assert entity.pictures[0].branch == "face"
    assert "of 3 faces" in entity.reason


def test_a_tiny_face_is_found_by_looking_harder(encoders) -> None:
    entity = encode(encoders, tiny_face(), "woman")
    assert entity.pictures[0].branch == "face"
    assert any(rung in entity.reason for rung in LADDER[2:])
    left, top, right, bottom = entity.routings[0].box
    assert 100 < left < right < 145 and 50 < top < bottom < 95


@pytest.mark.parametrize(
    ("name", "word", "kind"),
    [
        ("chelsea.png", "cat", "auto"),
        ("coffee.png", "cup", "auto"),
        ("camera.png", "man", "human"),  # a profile, which a frontal cascade does not know
        ("page.png", "man", "human"),  # a page of text
        ("rocket.jpg", "", "auto"),
    ],
)
def test_everything_else_takes_the_object_branch_and_says_why(encoders, name, word, kind) -> None:
    entity = encode(encoders, photograph(name, 100), word, kind)
    assert entity.pictures[0].branch == "object"
    assert "no face was found" in entity.reason
    height, width = photograph(name, 100).shape[1:]
    assert entity.routings[0].box == (0, 0, width, height)


def test_a_cartoon_is_no_error(encoders) -> None:
    entity = encode(encoders, cartoon(), "clown")
    assert entity.pictures[0].branch == "object" and "tiled" in entity.reason


def test_a_cutout_on_transparency_is_seen_on_white(encoders) -> None:
    rgb = portrait()
    alpha = F.pad(torch.ones(100, 120), (60, 76, 10, 146))
    entity = encode_entity(encoders, [Picture(rgb, alpha)], "woman")
    assert entity.pictures[0].branch == "face"
    whole = encode_entity(encoders, [Picture(rgb)], "woman")
    assert not torch.equal(entity.pictures[0].semantic, whole.pictures[0].semantic)
