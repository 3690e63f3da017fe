"""Small sets of clips, drawn or made up, for the tests of what reads them."""

from pathlib import Path

import numpy as np
import torch

from tora2.data.clipset import write_clip
from tora2.data.converters.spritebind import readers
from tora2.data.converting import convert
from tora2.data.record import ClipEntity, ClipRecord, ClipTrack
from tora2.data.shards import ShardWriter
from tora2.data.spritebind import SpriteBind, SpriteBindConfig


def sprites(folder: Path, clips: int = 4, shard_bytes: int = 30_000, seed: int = 3) -> Path:
    """The first clips of SpriteBind, about two in a shard."""
    data = SpriteBind(SpriteBindConfig(), seed, "train")
    convert(readers(data, clips), folder, shard_bytes=shard_bytes)
    return folder


def moving(folder: Path, width: int, height: int, frames: int, fps: float) -> ClipRecord:
    """A set of one clip of noise with two entities, one of them without anything."""
    rng = np.random.default_rng(0)
    points = np.linspace((0.02, 0.3), (0.7, 0.6), frames).astype(np.float32)
    other = rng.uniform(-0.2, 1.2, (frames, 2)).astype(np.float32)
    record = ClipRecord(
        caption="a circle on grass",
        width=width,
        height=height,
        frames=frames,
        fps=fps,
        entities=(
            ClipEntity("bare", ""),
            ClipEntity(
                "e0",
                "circle",
                tracks=tuple(ClipTrack(path, np.ones(frames, bool)) for path in (points, other)),
            ),
        ),
    )
    video = torch.from_numpy(rng.integers(0, 255, (frames, height, width, 3), dtype=np.uint8))
    with ShardWriter(folder) as writer:
        write_clip(writer, "clip", record, video, {})
    return record
