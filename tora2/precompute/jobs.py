"""A shard of clips to encode: the piece of work that is done whole or not at all, by anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from safetensors.torch import save

from ..data.cache import FOLDER
from ..data.clipset import ClipSet
from ..data.shards import scan, write_tar
from ..files import atomic_path
from .encoding import ClipEncoder

Report = Callable[[str | None], None]
"""Called once a clip: with None, or with a sentence that names it and says what is damaged."""


@dataclass(frozen=True)
class Job:
    """A shard by its file name, and its clips by their places in the set."""

    shard: str
    clips: tuple[int, ...]


def jobs_of(clips: ClipSet) -> list[Job]:
    """The shards of a set in order."""
    places = sorted(range(len(clips)), key=lambda i: (clips.rows[i].shard, i))
    shards = groupby(places, key=lambda i: clips.rows[i].shard)
    return [Job(shard, tuple(group)) for shard, group in shards]


def encoded_before(clips: ClipSet, job: Job, report: Report) -> bool:
    """Whether a shard is encoded already; if so, its clips are reported.

    Raises:
        ValueError: if what is there is damaged, or holds tensors of other clips.
    """
    path = cache_shards(clips) / job.shard
    if not path.exists():
        return False
    there = {row.key for row in scan(path)}
    keys = [clips.rows[index].key for index in job.clips]
    if others := there.difference(keys):
        raise ValueError(
            f"{path} holds tensors of {min(others)}, which is no clip of the shard of that name: "
            "remove it to encode that shard again"
        )
    for key in keys:
        report(None if key in there else f"clip {key} was damaged when its shard was encoded")
    return True


def encode_shard(encoder: ClipEncoder, clips: ClipSet, job: Job, report: Report) -> None:
    """Encode the clips of one shard into the cache; one clip is in memory at a time.

    Args:
        encoder: of the clips.
        clips: the set.
        job: which of them.
        report: of every clip; what it raises leaves no shard.

    Raises:
        OSError: if the shard cannot be written.
    """

    def members() -> Iterator[tuple[str, bytes]]:
        for index in job.clips:
            key = clips.rows[index].key
            try:
                tensors = encoder.encode(clips, index)
            except (ValueError, OSError) as error:
                text = str(error)
                report(text if key in text else f"clip {key}: {text}")
            else:
                report(None)
                yield f"{key}.safetensors", save(tensors)

    with atomic_path(cache_shards(clips) / job.shard) as temporary:
        write_tar(temporary, members())


def cache_shards(clips: ClipSet) -> Path:
    """Where the tensors of a set lie."""
    return clips.folder / FOLDER / "shards"
