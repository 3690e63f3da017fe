"""Sets in any layout, written as ours: resumable, damaged clips counted and named."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..encoders.pictures import Picture, load_picture
from ..files import read_bounded
from ..video import read_video
from .clipset import write_clip
from .converters import Converted, Reader, readers
from .damage import Damage
from .shards import MAX_MEMBER, SHARD_BYTES, ShardWriter, scan

Source = tuple[str | None, Reader]
"""The key of a clip where it is known before the clip is read, and what reads it."""


@dataclass
class Conversion:
    """What was done: clips written, those that were there already, and those that are damaged."""

    written: int = 0
    there: int = 0
    damaged: int = 0


def sources(name: str, folder: Path) -> Iterator[Source]:
    """The clips of a public set; see `converters.readers`."""
    for reader in readers(name, folder):
        yield None, reader


def convert(
    clips: Iterable[Source],
    output: Path,
    tolerance: float = 0.01,
    shard_bytes: int = SHARD_BYTES,
    advance: Callable[[], object] | None = None,
) -> Conversion:
    """Write clips as a set, or those that it does not have yet.

    Ctrl-C leaves a whole set of what was written so far.

    Args:
        clips: of the source.
        output: folder of the set.
        tolerance: share of the clips (of at least 100) that may be damaged.
        shard_bytes: as `ShardWriter` takes it.
        advance: is called for every clip.

    Raises:
        ValueError: if the source is no such set, or too many clips are damaged.
        OSError: if something cannot be written.
    """
    done, damage = Conversion(), Damage(tolerance)
    with ShardWriter(output, shard_bytes) as writer:
        there = {row.key for shard in writer.finished() for row in scan(shard)}
        written: set[str] = set()
        interrupted: BaseException | None = None
        try:
            for key, read in clips:
                if key in there:
                    done.there += 1
                else:
                    _convert_one(read, writer, there, written, done, damage)
                if advance is not None:
                    advance()
        except KeyboardInterrupt as error:  # leaving the block writes what has been gathered
            interrupted = error
    if interrupted is not None:
        raise interrupted
    return done


def _convert_one(
    read: Reader,
    writer: ShardWriter,
    there: set[str],
    written: set[str],
    done: Conversion,
    damage: Damage,
) -> None:
    try:
        clip = read()
        if clip.key in there:
            done.there += 1
            damage.sound()
            return
        if clip.key in written:
            raise ValueError(f"the key {clip.key} occurs twice, expected every key once")
        video, pictures = _video(clip), _pictures(clip.pictures)
    except (ValueError, OSError) as error:
        done.damaged += 1
        damage.found(error)
        return
    try:
        write_clip(writer, clip.key, clip.record, video, pictures)
    except ValueError as error:  # a full disk is another thing: it ends the work
        done.damaged += 1
        damage.found(error)
        return
    damage.sound()
    written.add(clip.key)
    done.written += 1


def _video(clip: Converted) -> Tensor | bytes | None:
    """H.264 stays as it is; what is no .mp4 is encoded anew."""
    if not isinstance(clip.video, Path):
        return clip.video
    if clip.video.suffix.lower() == ".mp4":
        return read_bounded(clip.video, MAX_MEMBER)
    return read_video(clip.video)[0][: clip.record.frames]


def _pictures(pictures: Mapping[str, Path | Picture]) -> dict[str, bytes]:
    return {
        name: _png(picture) if isinstance(picture, Picture) else _png_of_file(picture)
        for name, picture in pictures.items()
    }


@lru_cache(maxsize=64)
def _png_of_file(path: Path) -> bytes:
    """A cut-out as PNG; many clips of a set may show the same."""
    return _png(load_picture(path))


def _png(picture: Picture) -> bytes:
    """A picture as PNG, with alpha where it has some."""
    pixels = picture.rgb
    if picture.alpha is not None:
        alpha = (picture.alpha * 255).round().to(torch.uint8)
        pixels = torch.cat([pixels, alpha[None]])
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())).save(file, "PNG")
    return file.getvalue()
