"""SpriteBind's clips out of shards, as `clips convert spritebind` writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...encoders.pictures import Picture, on_white
from ...fields import show
from ...trajectory import Tracks
from ..clipset import ClipSet
from ..drawing import Tolerance
from ..masks import decode_mask
from ..record import ClipRecord
from .config import MAX_ENTITIES, MAX_PICTURES, SpriteBindConfig
from .dataset import Clip
from .sprites import SHAPES


class RecordedSprites(Dataset[Clip]):
    """The clips of a set in the order of its index; an index beyond the last begins again.

    Args:
        folder: of the set.
        config: the sizes that its clips must have.
        damaged: share of the clips that may be damaged: each is counted, named and replaced.

    Raises:
        ValueError: if the set cannot be read; for a clip, if too many are damaged or of other
            sizes, words or masks than SpriteBind's.
    """

    def __init__(
        self, folder: str | os.PathLike[str], config: SpriteBindConfig, damaged: float = 0.01
    ) -> None:
        self.config = config
        self._clips = ClipSet(folder)
        self._tolerance = Tolerance(self._load, len(self._clips), damaged)

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> Clip:
        return self._tolerance.load(index % len(self))

    def _load(self, index: int) -> Clip:
        record = self._clips.record(index)
        names = [name for entity in record.entities for name in entity.references]
        try:
            return recorded_clip(
                record,
                self._clips.frames(index),
                {name: self._clips.picture(index, name) for name in names},
                self.config,
            )
        except ValueError as error:
            raise ValueError(f"clip {self._clips.rows[index].key}: {error}") from None


def recorded_clip(
    record: ClipRecord, frames: Tensor, pictures: Mapping[str, Picture], config: SpriteBindConfig
) -> Clip:
    """A clip from what was written of it.

    Args:
        record: of the clip.
        frames: uint8 [T, H, W, 3].
        pictures: the cut-outs that the record names.
        config: the sizes that it must have.

    Returns:
        The clip as it was drawn, but for what is not written: `centers`, `coverage` and `sprites`
        are empty.

    Raises:
        ValueError: says what is other than in SpriteBind's clips.
    """
    wanted = (config.frames, config.size, config.size, 3)
    if tuple(frames.shape) != wanted or record.frames != config.frames:
        raise ValueError(f"its frames are {tuple(frames.shape)}, expected {wanted}")
    if not 1 <= len(record.entities) <= MAX_ENTITIES:
        raise ValueError(f"it has {len(record.entities)} entities, expected 1 to {MAX_ENTITIES}")
    region = np.zeros((config.frames, config.size, config.size), bool)
    shown = []
    for entity in record.entities:
        if entity.word not in SHAPES:
            raise ValueError(f"its word {show(entity.word)} is unknown, expected one of {SHAPES}")
        if set(entity.masks) != set(range(config.frames)):
            raise ValueError(
                f"its entity {entity.id} has masks at {len(entity.masks)} frames, expected one at "
                f"every of {config.frames}"
            )
        for time, runs in entity.masks.items():
            region[time] |= decode_mask(runs, (config.size, config.size))
        views = [on_white(pictures[name]) for name in entity.references]
        if not 1 <= len(views) <= MAX_PICTURES or len(entity.tracks) > 1:
            raise ValueError(
                f"its entity {entity.id} has {len(views)} pictures and {len(entity.tracks)} "
                f"tracks, expected 1 to {MAX_PICTURES} and at most one"
            )
        if any(view.shape[1:] != (config.picture, config.picture) for view in views):
            raise ValueError(
                f"the pictures of its entity {entity.id} are {[tuple(v.shape) for v in views]}, "
                f"expected {config.picture} pixels square"
            )
        shown.append(torch.stack(views))
    owners = [row for row, entity in enumerate(record.entities) if entity.tracks]
    tracks = [record.entities[row].tracks[0] for row in owners]
    points = np.array([track.points for track in tracks], np.float32)
    visible = np.array([track.visible for track in tracks], bool)
    return Clip(
        frames=frames.permute(0, 3, 1, 2).contiguous(),
        caption=record.caption,
        words=tuple(entity.word for entity in record.entities),
        pictures=tuple(shown),
        tracks=Tracks(
            torch.from_numpy(points.reshape(-1, config.frames, 2)) * config.size,
            torch.from_numpy(visible.reshape(-1, config.frames)),
            torch.tensor(owners, dtype=torch.int64),
            config.size,
            config.size,
            config.frames,
        ),
        centers=torch.zeros(0, config.frames, 2),
        coverage=torch.zeros(0, config.frames),
        region=torch.from_numpy(region),
        sprites=(),
    )
