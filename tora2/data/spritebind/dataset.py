"""The clips: scenes of sprites on paths, drawn from a seed.

Captions name shapes only, reference pictures carry colour and texture, tracks carry motion, and
nothing but the binding of the three tells which sprite goes where. Clips are made on the fly;
clip `i` of a split depends on the seed, the split and `i` alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...fields import show
from ...trajectory import Tracks
from .config import MAX_PICTURES, SpriteBindConfig
from .paths import draw_tracks
from .sprites import BACKGROUNDS, SHAPES, TEXTURES, Sprite, background, paint, saturated

SPLITS = ("train", "heldout", "hard", "untold")
_HUE_BINS = 12
_MIN_HUE_GAP = 0.17
# Radii as shares of the side, and the largest turn in radians.
_LOOKS = {"small": ((0.12, 0.18), 0.25), "large": ((0.168, 0.176), 0.05)}


@dataclass(frozen=True)
class Clip:
    """One clip with everything that is known about it.

    Attributes:
        frames: uint8 [T, 3, H, W].
        caption: names shapes and the background only.
        words: the entity word of each sprite.
        pictures: for each sprite uint8 [R, 3, P, P], R reference pictures.
        tracks: the tracks that are told to the model; `tracks.entity` indexes `words`.
        centers: [N, T, 2] where every sprite really is, pixels.
        coverage: [N, T] visible share of each sprite's area in the frame, in [0, 1].
        region: [T, H, W] bool, where any sprite is.
        sprites: what was drawn.
    """

    frames: Tensor
    caption: str
    words: tuple[str, ...]
    pictures: tuple[Tensor, ...]
    tracks: Tracks
    centers: Tensor
    coverage: Tensor
    region: Tensor
    sprites: tuple[Sprite, ...]


def is_heldout(shape: str, hue: float) -> bool:
    """Whether a combination of shape and colour is kept out of training (one in six)."""
    return (SHAPES.index(shape) * 2 + int(hue % 1.0 * _HUE_BINS)) % 6 == 0


def check_split(split: str) -> None:
    """Refuse a split that there is none of, with a ValueError."""
    if split not in SPLITS:
        raise ValueError(f"split {show(split)} is unknown; expected one of {', '.join(SPLITS)}")


class SpriteBind(Dataset[Clip]):
    """Deterministic procedural clips.

    Args:
        config: sizes.
        seed: every clip is a function of (seed, split, index).
        split: `train` leaves one in six combinations of shape and colour out; `heldout` shows one
            of those in every clip; `hard` has three sprites of one shape on crossing paths;
            `untold` is as `heldout`, two or three sprites, the path of the first kept back.
        length: number of clips; an index beyond it raises IndexError.
    """

    def __init__(
        self, config: SpriteBindConfig, seed: int, split: str = "train", length: int = 1 << 31
    ) -> None:
        check_split(split)
        self.config, self.seed, self.split, self.length = config, seed, split, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Clip]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Clip:
        if not 0 <= index < self.length:
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), index])
        sprites = self._sprites(rng)
        centers, tracks = self._motion(rng, sprites)
        if self.config.window:
            centers, tracks = _window(rng, centers, tracks, self.config.window)
        return _compose(rng, self.config, sprites, centers, tracks)

    def _sprites(self, rng: np.random.Generator) -> tuple[Sprite, ...]:
        config = self.config
        hard = self.split == "hard"
        radii, turn = _LOOKS[config.sprites]
        fewest = 2 if self.split == "untold" else config.min_entities
        count = 3 if hard else int(rng.integers(fewest, max(fewest, config.max_entities) + 1))
        shapes = self._shapes(rng, count)
        if hard or (count > 1 and rng.random() < 0.2):
            shapes[1] = shapes[0]
        if hard:
            shapes[2] = shapes[0]
        told_apart = rng.integers(len(TEXTURES)) if rng.random() < 0.4 else None
        hues: list[float] = []
        sprites = []
        for position, shape in enumerate(shapes):
            wants_heldout = self.split in ("heldout", "untold") and position == 0
            while True:
                hue = float(rng.random())
                gaps = [abs((hue - other + 0.5) % 1.0 - 0.5) for other in hues]
                if min(gaps, default=1.0) < _MIN_HUE_GAP:
                    continue
                if self.split == "hard" or is_heldout(shape, hue) == wants_heldout:
                    break
            hues.append(hue)
            texture = rng.integers(len(TEXTURES)) if told_apart is None else told_apart
            sprites.append(
                Sprite(
                    shape=str(shape),
                    rgb=saturated(hue, rng.uniform(0.75, 1.0), rng.uniform(0.75, 1.0)),
                    texture=TEXTURES[int(texture)],
                    radius=float(rng.uniform(*radii) * config.size),
                    rotation=float(rng.uniform(-turn, turn)),
                )
            )
        return tuple(sprites)

    def _shapes(self, rng: np.random.Generator, count: int) -> list[str]:
        """Different shapes; `often` is for training, so what is measured does not depend on it."""
        often = self.config.often
        if self.split != "train" or not often:
            return list(rng.permutation(SHAPES)[:count])
        weight = np.array([often.get(shape, 1.0) for shape in SHAPES])
        return list(rng.choice(SHAPES, count, replace=False, p=weight / weight.sum()))

    def _motion(
        self, rng: np.random.Generator, sprites: tuple[Sprite, ...]
    ) -> tuple[Tensor, Tracks]:
        names, radii = [s.shape for s in sprites], [s.radius for s in sprites]
        untold = self._untold(rng, len(sprites))
        still = [self.config.still and it for it in untold]
        tracks = draw_tracks(rng, self.config, names, radii, still, crossing=self.split == "hard")
        centers = tracks.points[torch.argsort(tracks.entity)]
        told = ~torch.tensor(untold)[tracks.entity]
        return centers, replace(
            tracks,
            points=tracks.points[told],
            visible=tracks.visible[told],
            entity=tracks.entity[told],
            scale=tracks.scale[told],
        )

    def _untold(self, rng: np.random.Generator, count: int) -> list[bool]:
        """Which sprites' paths are kept back."""
        if self.split == "train":
            return list(rng.random(count) < self.config.untold)
        return [self.split == "untold" and position == 0 for position in range(count)]


def _window(
    rng: np.random.Generator, centers: Tensor, tracks: Tracks, length: int
) -> tuple[Tensor, Tracks]:
    start = int(rng.integers(tracks.frames - length + 1))
    shown = slice(start, start + length)
    return centers[:, shown], replace(
        tracks,
        frames=length,
        points=tracks.points[:, shown],
        visible=tracks.visible[:, shown],
        scale=tracks.scale[:, shown],
    )


def _compose(
    rng: np.random.Generator,
    config: SpriteBindConfig,
    sprites: tuple[Sprite, ...],
    centers: Tensor,
    tracks: Tracks,
) -> Clip:
    size = config.size
    phrase = str(rng.choice(list(BACKGROUNDS)))
    frames = np.repeat(background(phrase, (size, size), rng)[None], centers.shape[1], 0)
    visible: list[np.ndarray] = []
    for sprite, path in zip(sprites, centers.numpy(), strict=True):
        cover = paint(frames, sprite, path)
        visible = [earlier * (1 - cover) for earlier in visible] + [cover]
    full = [_area(sprite) for sprite in sprites]
    coverage = np.stack([v.sum((1, 2)) / a for v, a in zip(visible, full, strict=True)])
    return Clip(
        frames=_as_uint8(frames),
        caption=_caption(rng, [sprite.shape for sprite in sprites], phrase),
        words=tuple(sprite.shape for sprite in sprites),
        pictures=tuple(_pictures(rng, sprite, config.picture) for sprite in sprites),
        tracks=tracks,
        centers=centers,
        coverage=torch.from_numpy(coverage).float().clamp(0, 1),
        region=torch.from_numpy(np.sum(visible, axis=0) > 0.5),
        sprites=sprites,
    )


def _area(sprite: Sprite) -> float:
    side = int(np.ceil(2.8 * sprite.radius))
    canvas = np.zeros((1, side, side, 3), dtype=np.float32)
    return float(paint(canvas, sprite, np.full((1, 2), side / 2)).sum())


def _caption(rng: np.random.Generator, shapes: list[str], phrase: str) -> str:
    named = [f"a {shape}" for shape in rng.permutation(shapes)]
    listed = named[0] if len(named) == 1 else ", ".join(named[:-1]) + " and " + named[-1]
    return f"{listed} {phrase}".strip()


def _pictures(rng: np.random.Generator, sprite: Sprite, size: int) -> Tensor:
    count = MAX_PICTURES if rng.random() < 0.25 else 1
    return torch.stack([reference_picture(rng, sprite, size) for _ in range(count)])


def reference_picture(rng: np.random.Generator, sprite: Sprite, size: int) -> Tensor:
    """Another view of a sprite on white: other size, place, angle and light; uint8 [3, P, P].

    Three in ten pictures show the look on another shape, so that the word says the shape and the
    picture the look.
    """
    shape = str(rng.choice(SHAPES)) if rng.random() < 0.3 else sprite.shape
    # One in ten is a close-up that fills the picture, as a user's photograph of a thing may.
    reach = rng.uniform(0.55, 0.9) if rng.random() < 0.1 else rng.uniform(0.22, 0.45)
    radius = float(reach * size)
    light = rng.uniform(0.85, 1.15)
    red, green, blue = (float(min(1.0, c * light)) for c in sprite.rgb)
    view = replace(
        sprite,
        shape=shape,
        rgb=(red, green, blue),
        radius=radius,
        rotation=float(rng.uniform(-0.35, 0.35)),
        flip=bool(rng.random() < 0.5),
    )
    canvas = np.ones((1, size, size, 3), dtype=np.float32)
    room = max(size / 2 - radius, 1.0)
    paint(canvas, view, size / 2 + rng.uniform(-room, room, (1, 2)) * 0.7)
    return _as_uint8(canvas)[0]


def _as_uint8(frames: np.ndarray) -> Tensor:
    return torch.from_numpy((frames * 255 + 0.5).astype(np.uint8)).movedim(-1, 1).contiguous()
