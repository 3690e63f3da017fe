"""What a set of clips holds, counted from its records."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..overlay import Painter
from ..trajectory import Tracks
from ..trajectory.document import PALETTE
from .cache import CONFIG, FOLDER
from .clipset import ClipSet
from .record import ClipRecord
from .shards import INDEX

_WORDS = 50


@dataclass
class Summary:
    """Counts of a set.

    Attributes:
        clips: that its index names; `shards`, `bytes`: where they lie.
        seconds: of all videos; `videos`: clips that have one; `encoded`: clips with tensors.
        sizes: clips by `<width>x<height>, <frames> frames at <fps>`.
        entities: in all; `entities_in_clip`: clips by their number; `kinds`: entities by kind.
        words: entities by word, the most frequent.
        references, tracks, masks: in all.
        damaged: key and reason of every clip that cannot be read.
    """

    clips: int = 0
    shards: int = 0
    bytes: int = 0
    seconds: float = 0.0
    videos: int = 0
    encoded: int = 0
    entities: int = 0
    references: int = 0
    tracks: int = 0
    masks: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    entities_in_clip: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def open_clips(folder: str | os.PathLike[str]) -> ClipSet:
    """A set, with its cache where it has one."""
    cache = Path(folder) / FOLDER
    return ClipSet(folder, cache=(cache / CONFIG).exists() and (cache / INDEX).exists())


def summarise(clips: ClipSet, advance: Callable[[], object] | None = None) -> Summary:
    """Read every record of a set; videos and pictures are looked for, not decoded."""
    counted = {name: Counter[str]() for name in ("sizes", "entities_in_clip", "kinds", "words")}
    found = Summary(
        clips=len(clips),
        shards=len({row.shard for row in clips.rows}),
        bytes=sum(size for row in clips.rows for _, size in row.members.values()),
    )
    for index, row in enumerate(clips.rows):
        if advance is not None:
            advance()
        try:
            record = clips.record(index)
            _check_members(record, row.members)
        except (ValueError, OSError) as error:
            found.damaged[row.key] = str(error)
            continue
        found.seconds += record.frames / record.fps
        found.videos += "mp4" in row.members
        found.encoded += clips.has_cache(index)
        size = f"{record.width}x{record.height}, {record.frames} frames at {record.fps:g}"
        counted["sizes"][size] += 1
        counted["entities_in_clip"][str(len(record.entities))] += 1
        found.entities += len(record.entities)
        for entity in record.entities:
            counted["kinds"][entity.kind] += 1
            counted["words"][entity.word] += 1
            found.references += len(entity.references)
            found.tracks += len(entity.tracks)
            found.masks += len(entity.masks)
    for name, counter in counted.items():
        setattr(found, name, dict(counter.most_common(_WORDS if name == "words" else None)))
    return found


def _check_members(record: ClipRecord, members: Any) -> None:
    for entity in record.entities:
        for name in entity.references:
            if f"{name}.png" not in members:
                raise ValueError(f"it has no {name}.png, which its record names")


def place_of(clips: ClipSet, key: str) -> int:
    """Where a clip is in a set.

    Raises:
        ValueError: if there is none of that key.
    """
    for index, row in enumerate(clips.rows):
        if row.key == key:
            return index
    keys = ", ".join(row.key for row in clips.rows[:3])
    raise ValueError(f"the key is {key!r}, expected one of the set's such as {keys}")


def tracks_of(record: ClipRecord) -> Tracks:
    """The tracks of a clip in its pixels; `entity` is the place of each one's entity."""
    owned = [(i, track) for i, entity in enumerate(record.entities) for track in entity.tracks]
    size = torch.tensor([record.width, record.height])
    points = torch.zeros(len(owned), record.frames, 2)
    visible = torch.zeros(len(owned), record.frames, dtype=torch.bool)
    for row, (_, track) in enumerate(owned):
        points[row] = torch.from_numpy(track.points) * size
        visible[row] = torch.from_numpy(track.visible)
    owners = torch.tensor([owner for owner, _ in owned], dtype=torch.int64)
    return Tracks(points, visible, owners, record.width, record.height, record.frames)


def overlaid(clips: ClipSet, index: int) -> Tensor:
    """The video of a clip with its tracks drawn on it, uint8 [T, H, W, 3].

    Raises:
        ValueError: if the clip is damaged, or its video has not the record's frames.
    """
    record, frames = clips.record(index), clips.frames(index)
    if len(frames) < record.frames:
        raise ValueError(
            f"clip {clips.rows[index].key} has {len(frames)} frames, expected {record.frames}"
        )
    frames = frames[: record.frames]
    tracks = tracks_of(record)
    owners = tracks.entity.tolist()
    painter = Painter(
        (frames.shape[1], frames.shape[2]),
        tracks,
        [PALETTE[owner % len(PALETTE)] for owner in owners],
        labels=[record.entities[owner].word for owner in owners],
    )
    for time in range(len(frames)):
        drawn = frames[time].float() / 255
        painter.draw(time, drawn)
        frames[time] = (drawn * 255).round().clamp(0, 255).to(torch.uint8)
    return frames
