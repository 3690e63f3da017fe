"""A kept candidate as the files of a clip: video, record and cut-outs."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data.clipset import write_clip
from ..data.masks import encode_mask
from ..data.record import ClipEntity, ClipRecord, ClipSource, ClipTrack
from ..video import write_frames
from .candidate import Candidate, Entity, Frames
from .reading import frames_at, rgb

Size = tuple[int, int]


@dataclass
class _Gathered:
    """Takes the place of a `ShardWriter`; the files go to the one that writes them."""

    members: dict[str, bytes] = field(default_factory=dict)

    def write(self, key: str, members: Mapping[str, bytes]) -> None:
        self.members.update(members)


def pack(candidate: Candidate) -> dict[str, bytes]:
    """The files of a clip by their names without the key.

    Raises:
        ValueError, OSError: if its frames cannot be read, or it is no clip.
    """
    size = even((candidate.height, candidate.width))
    record = ClipRecord(
        caption=candidate.caption or "",
        width=size[1],
        height=size[0],
        frames=candidate.frame_count,
        fps=candidate.fps,
        entities=tuple(_entity(entity, candidate, size) for entity in candidate.entities),
        scores=dict(candidate.scores),
        source=ClipSource(candidate.source, candidate.start, candidate.end),
    )
    pictures = {
        f"{entity.id}.{place}": _png(picture)
        for entity in candidate.entities
        for place, picture in enumerate(entity.references)
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        write_frames(file, _frames(candidate, size), size, candidate.fps)
        gathered = _Gathered()
        write_clip(gathered, candidate.key, record, file.read_bytes(), pictures)
    return gathered.members


def even(size: Size) -> Size:
    """H.264 has no odd sides: the last row or column is cut off."""
    return size[0] // 2 * 2, size[1] // 2 * 2


def _frames(candidate: Candidate, size: Size) -> Iterator[Tensor]:
    for frame in frames_at(candidate, range(candidate.frame_count), rgb):
        yield torch.from_numpy(np.ascontiguousarray(frame[: size[0], : size[1]]))


def _entity(entity: Entity, candidate: Candidate, size: Size) -> ClipEntity:
    stretch = np.array([candidate.width / size[1], candidate.height / size[0]], np.float32)
    return ClipEntity(
        id=entity.id,
        word=entity.word,
        span=entity.span,
        kind=entity.kind,
        references=tuple(f"{entity.id}.{place}" for place in range(len(entity.references))),
        tracks=tuple(ClipTrack(t.points * stretch, t.visible) for t in entity.tracks),
        masks={
            frame: encode_mask(mask[: size[0], : size[1]]) for frame, mask in entity.masks.items()
        },
    )


def _png(picture: Frames) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG")
    return file.getvalue()
