"""Which clips the bundled model is trained on: drawn as they are asked for, or out of shards."""

from __future__ import annotations

from ....data.spritebind import SpriteBind
from ....data.spritebind.recorded import RecordedSprites
from .config import TrainConfig


def training_clips(config: TrainConfig) -> tuple[SpriteBind | RecordedSprites, int]:
    """The clips of a run, and how many of them its pool holds.

    Raises:
        ValueError: if the shards cannot be read.
    """
    if config.clips is None:
        return SpriteBind(config.data, config.seed, "train"), config.pool
    recorded = RecordedSprites(config.clips, config.data, config.damaged)
    return recorded, len(recorded)
