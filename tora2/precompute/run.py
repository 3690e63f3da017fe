"""Everything of a set of clips that training needs and that does not change, encoded once.

Beside `shards/NNNNNN.tar` comes to lie `cache/shards/NNNNNN.tar` with the tensors of the same
clips. A shard appears whole or not at all, and one that is there is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from safetensors.torch import save_file

from ..data.cache import EMPTY, FOLDER, write_config
from ..data.clipset import ClipSet
from ..data.damage import Damage
from ..data.shards import INDEX, write_index
from ..files import atomic_path
from ..settings import Within, load
from .encoding import ClipEncoder, EncodingConfig
from .jobs import cache_shards, encode_shard, encoded_before, jobs_of
from .on_ray import check_ray, encode_on_ray


@dataclass(frozen=True, kw_only=True)
class PrecomputeConfig(EncodingConfig):
    """One run: how clips are encoded, and which.

    Attributes:
        clips: folder of the set.
        workers: processes that encode a shard each; more than one run on Ray.
        tolerance: share of the clips (of at least 100) that may be damaged.
    """

    clips: str
    workers: Annotated[int, Within(1, 4096)] = 1
    tolerance: Annotated[float, Within(0, 1)] = 0.01


def load_precompute(path: Path | str) -> PrecomputeConfig:
    """Read a YAML configuration.

    Raises:
        ValueError: names the file and the key that is unknown or whose value cannot be taken.
    """
    return load(PrecomputeConfig, path)


def precompute(config: PrecomputeConfig, advance: Callable[[], object] | None = None) -> Damage:
    """Encode the shards of a set that are not encoded yet.

    Run again, it makes what is missing, and nothing else. The tensors are the same bytes however
    many workers there are, on one kind of device.

    Args:
        config: of the run.
        advance: is called for every clip that is done; it may raise to stop.

    Returns:
        How many clips there are, and how many of them are damaged.

    Raises:
        ValueError: if the set, the model or an encoder cannot be used, the cache was made
            otherwise, or too many clips are damaged.
        OSError: if something cannot be written.
    """
    if config.workers > 1:
        check_ray()
    clips = ClipSet(config.clips)
    damage = Damage(config.tolerance)

    def report(reason: str | None) -> None:
        if reason is None:
            damage.sound()
        else:
            damage.found(reason)
        if advance is not None:
            advance()

    with _threads(config.threads):
        encoder = ClipEncoder(config)
        cache = clips.folder / FOLDER
        write_config(cache, encoder.cache)
        cache_shards(clips).mkdir(exist_ok=True)
        if not (cache / EMPTY).exists():
            with atomic_path(cache / EMPTY) as temporary:
                save_file(encoder.empty(), temporary)
        jobs = [job for job in jobs_of(clips) if not encoded_before(clips, job, report)]
        try:
            if config.workers == 1 or len(jobs) < 2:
                for job in jobs:
                    encode_shard(encoder, clips, job, report)
            else:
                del encoder  # the processes have their own
                encode_on_ray(config, config.clips, jobs, config.workers, config.tolerance, report)
        finally:
            write_index(cache_shards(clips), cache / INDEX)
    return damage


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
