"""SpriteBind, drawn as the data set draws it, with all that is known of its clips."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ...encoders.pictures import Picture
from ...video import mp4_bytes
from ..masks import encode_mask
from ..record import ClipEntity, ClipRecord, ClipTrack
from ..spritebind import Clip, SpriteBind, paint
from . import Converted, Reader

_FPS = 8.0


def readers(data: SpriteBind, clips: int, lossless: bool = False) -> Iterator[tuple[str, Reader]]:
    """The first `clips` clips of a data set: the key of each, and what draws it.

    Args:
        data: the set.
        clips: how many.
        lossless: whether their videos keep every pixel; such files are larger and in RGB, which
            many players do not show.
    """
    for index in range(clips):
        key = f"{data.split}-{data.seed}-{index:08d}"
        yield key, partial(_draw, data, key, index, lossless)


def _draw(data: SpriteBind, key: str, index: int, lossless: bool) -> Converted:
    clip = data[index]
    count, _, height, width = clip.frames.shape
    spans = _spans(clip)
    masks = _masks(clip)
    pictures = {
        f"e{row}.{number}": _cut_out(picture)
        for row, shown in enumerate(clip.pictures)
        for number, picture in enumerate(shown)
    }
    record = ClipRecord(
        caption=clip.caption,
        width=width,
        height=height,
        frames=count,
        fps=_FPS,
        entities=tuple(
            ClipEntity(
                id=f"e{row}",
                word=word,
                span=spans[row],
                references=tuple(f"e{row}.{n}" for n in range(len(clip.pictures[row]))),
                tracks=_tracks(clip, row),
                masks=masks[row],
            )
            for row, word in enumerate(clip.words)
        ),
    )
    frames = clip.frames.permute(0, 2, 3, 1)
    video = mp4_bytes(frames, _FPS, lossless=True) if lossless else frames
    return Converted(key, record, video, pictures)


def _spans(clip: Clip) -> list[tuple[int, int]]:
    """Where each word stands; of two equal words the first entity has the first."""
    spans: list[tuple[int, int]] = []
    for word in clip.words:
        start = clip.caption.index(word)
        while (start, start + len(word)) in spans:
            start = clip.caption.index(word, start + 1)
        spans.append((start, start + len(word)))
    return spans


def _tracks(clip: Clip, row: int) -> tuple[ClipTrack, ...]:
    size = torch.tensor([clip.tracks.width, clip.tracks.height])
    rows = (clip.tracks.entity == row).nonzero().flatten().tolist()
    return tuple(
        ClipTrack((clip.tracks.points[i] / size).numpy(), clip.tracks.visible[i].numpy())
        for i in rows
    )


def _masks(clip: Clip) -> list[dict[int, str]]:
    """Where each sprite is seen, by frame: a pixel goes to the sprite that covers it most."""
    canvas = np.zeros((*clip.region.shape, 3), np.float32)
    seen: list[np.ndarray] = []
    for sprite, path in zip(clip.sprites, clip.centers.numpy(), strict=True):
        cover = paint(canvas, sprite, path)
        seen = [earlier * (1 - cover) for earlier in seen] + [cover]
    most = np.argmax(seen, axis=0)
    return [
        {time: encode_mask(mask) for time, mask in enumerate(clip.region.numpy() & (most == row))}
        for row in range(len(seen))
    ]


def _cut_out(picture: Tensor) -> Picture:
    """A picture on white with its background transparent; on white it is the same again."""
    return Picture(picture, (picture != 255).any(0).float())
