"""Public sets of clips, read in their own layouts and written in ours: one file a set.

A converter has `clips(folder)`, which gives a `Converted` for every clip, and raises ValueError
or OSError for one that is damaged, before or after others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import cast

from torch import Tensor

from ...encoders.pictures import Picture
from ..record import ClipRecord

CONVERTERS = {"360motion": "motion360", "dreamvideo-omni": "dreamvideo_omni"}


@dataclass(frozen=True, eq=False)
class Converted:
    """One clip of a public set.

    Attributes:
        key: unique within the set.
        record: what is known of it.
        video: its file, the bytes of an .mp4, or frames uint8 [T, H, W, 3]; None where the set
            brings no video.
        pictures: the cut-outs that the record names, as files or in memory.
    """

    key: str
    record: ClipRecord
    video: Path | Tensor | bytes | None
    pictures: Mapping[str, Path | Picture] = field(default_factory=dict)


Reader = Callable[[], Converted]


def readers(name: str, folder: Path) -> Iterable[Reader]:
    """For every clip of a set a function that reads it, so that a damaged one can be skipped.

    Args:
        name: one of `CONVERTERS`.
        folder: of the set.

    Raises:
        ValueError: if the name is unknown or the folder is no such set.
    """
    if name not in CONVERTERS:
        raise ValueError(f"the set {name!r} is unknown, expected one of {', '.join(CONVERTERS)}")
    module = import_module(f".{CONVERTERS[name]}", __name__)
    return cast(Iterable[Reader], module.readers(folder))
