"""Clips as a model of real videos trains on them: read from a set's cache, checked, collated."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..models.config import Tora2Config
from ..models.entities import EntityBatch
from .cache import EMPTY, FOLDER, CacheConfig, check_tensors, read_config
from .clipset import ClipSet

logger = logging.getLogger(__name__)

_LATENTS = ("mean", "logvar", "flow_mean", "flow_logvar")
_EXACT = (*_LATENTS, "points")


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """B encoded clips, padded to N entities, R pictures, K tracks and Lw word tokens.

    Attributes:
        mean, logvar: [B, C, T_l, h, w] of the latents' distribution, scaled: what `latents` draws
            is what a transformer reads. The variance is None where the autoencoder has none.
        context: [B, L, D] caption embeddings.
        words: [B, N, Lw, D]; word_mask: [B, N, Lw] bool.
        semantic: [B, N, R, S, Ds]; face: [B, N, R, Df]; object: [B, N, R, Do]; zeros on the other
            branch. is_face, picture_mask: [B, N, R] bool.
        points: [B, N, K, T, 2] normalised (x, y) at every video frame; visible: [B, N, K, T] bool.
        track_mask: [B, N, K] bool.
        flow_mean, flow_logvar: as `mean` and `logvar`, of the picture of the dense flow; None where
            it was not asked for.
    """

    mean: Tensor
    logvar: Tensor | None
    context: Tensor
    words: Tensor
    word_mask: Tensor
    semantic: Tensor
    face: Tensor
    object: Tensor
    is_face: Tensor
    picture_mask: Tensor
    points: Tensor
    visible: Tensor
    track_mask: Tensor
    flow_mean: Tensor | None = None
    flow_logvar: Tensor | None = None

    def __len__(self) -> int:
        return len(self.mean)

    def __getitem__(self, rows: slice | Tensor) -> EncodedBatch:
        return self._each(lambda _, value: value[rows])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> EncodedBatch:
        """The same clips on a device.

        Args:
            device: where to.
            dtype: of the embeddings; latents and points stay as they are.
        """

        def moved(name: str, value: Tensor) -> Tensor:
            keep = dtype is None or name in _EXACT or not value.is_floating_point()
            return value.to(device) if keep else value.to(device, dtype)

        return self._each(moved)

    def latents(self, noise: Tensor | None = None) -> Tensor:
        """Scaled latents [B, C, T_l, h, w] of the videos, drawn from their distributions.

        Args:
            noise: standard normal, of the same shape; without it, and where there is no variance,
                the mean is taken.
        """
        return _drawn(self.mean, self.logvar, noise)

    def flow_latents(self, noise: Tensor | None = None) -> Tensor:
        """The same of the picture of the dense flow.

        Raises:
            ValueError: if the cache has none.
        """
        if self.flow_mean is None:
            raise ValueError("the cache has no dense flow, expected precompute's key 'flow'")
        return _drawn(self.flow_mean, self.flow_logvar, noise)

    def entities(self) -> EntityBatch:
        """The entities as the adapter reads them, all of strength 1."""
        return EntityBatch(
            semantic=self.semantic,
            face=self.face,
            object=self.object,
            is_face=self.is_face,
            picture_mask=self.picture_mask,
            words=self.words,
            word_mask=self.word_mask,
            points=self.points,
            visible=self.visible,
            track_mask=self.track_mask,
            strength=self.semantic.new_ones(self.picture_mask.shape[:2]),
        )

    def _each(self, change: Callable[[str, Tensor], Tensor]) -> EncodedBatch:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {
            name: None if x is None else change(name, x) for name, x in values.items()
        }
        return replace(self, **changed)


def _drawn(mean: Tensor, logvar: Tensor | None, noise: Tensor | None) -> Tensor:
    if logvar is None or noise is None:
        return mean
    return mean + (logvar / 2).exp() * noise


def collate(clips: Sequence[EncodedBatch]) -> EncodedBatch:
    """Batches of one cache as one, padded to common numbers of entities, pictures and tracks."""
    values: dict[str, Any] = {}
    for field in fields(EncodedBatch):
        parts = [getattr(clip, field.name) for clip in clips]
        values[field.name] = None if parts[0] is None else _joined(parts)
    return EncodedBatch(**values)


def _joined(parts: list[Tensor]) -> Tensor:
    if len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(parts)
    largest = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    joined = parts[0].new_zeros(sum(map(len, parts)), *largest)
    row = 0
    for part in parts:
        place = (slice(row, row + len(part)), *(slice(size) for size in part.shape[1:]))
        joined[place] = part
        row += len(part)
    return joined


class EncodedClips:
    """The clips of a set that have tensors; rows follow the set's index.

    Args:
        folder: of the set, after `precompute`.

    Attributes:
        config: how the tensors were made.
        keys: of the clips.
        empty: [L, D] embedding of the empty caption.

    Raises:
        ValueError: if the set or its cache cannot be read, or no clip has tensors.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.clips = ClipSet(folder, cache=True)
        cache = self.clips.folder / FOLDER
        self.config: CacheConfig = read_config(cache)
        self._rows = [i for i in range(len(self.clips)) if self.clips.has_cache(i)]
        self.keys = tuple(self.clips.rows[i].key for i in self._rows)
        missing = len(self.clips) - len(self._rows)
        if not self._rows:
            raise ValueError(f"none of the {missing} clips of {folder} has tensors in {cache}")
        if missing:
            logger.warning("%d of %d clips of %s have no tensors", missing, len(self.clips), folder)
        self.empty = self._empty(cache / EMPTY)

    def __len__(self) -> int:
        return len(self._rows)

    @staticmethod
    def _empty(path: os.PathLike[str]) -> Tensor:
        try:
            return load_file(path)["context"].float()
        except (OSError, SafetensorError, KeyError):
            raise ValueError(
                f"{os.fspath(path)!r} is missing or damaged, expected the empty caption: "
                "run precompute again"
            ) from None

    def check(self, adapter: Tora2Config) -> None:
        """Refuse an adapter that reads other widths than the cache has.

        Raises:
            ValueError: names the width, and both values.
        """
        self.config.require(
            channels=adapter.latent_channels,
            text_dim=adapter.word_dim,
            semantic_dim=adapter.semantic_dim,
            face_dim=adapter.face_dim,
            object_dim=adapter.object_dim,
        )

    def load(self, row: int, generator: torch.Generator | None = None) -> EncodedBatch:
        """One clip, as a batch of one in float32.

        Args:
            row: of the clip, below `len(self)`.
            generator: draws a variation of each picture; without it the pictures are as they are.

        Raises:
            ValueError: names the clip, if its tensors are missing or damaged.
        """
        index = self._rows[row]
        tensors = self.clips.cached(index)
        try:
            check_tensors(self.config, tensors)
        except ValueError as error:
            raise ValueError(
                f"clip {self.keys[row]}: {error}; remove its shard from the cache and precompute"
            ) from None
        return _unpacked(self.config, tensors, generator)

    def collate(self, clips: Sequence[EncodedBatch]) -> EncodedBatch:
        """See `collate`."""
        return collate(clips)


def _unpacked(
    config: CacheConfig, packed: dict[str, Tensor], generator: torch.Generator | None
) -> EncodedBatch:
    """The tensors of a clip, each entity's own beside one another."""
    tensors = {
        name: value.float() if value.is_floating_point() else value
        for name, value in packed.items()
    }
    for name in _LATENTS:
        if name in tensors:
            scale = config.scaling
            # The variance of what is scaled has the square of the scale.
            scaled = tensors[name] * scale
            if name.endswith("logvar"):
                scaled = tensors[name] + 2 * torch.tensor(scale).abs().log()
            tensors[name] = scaled
    count = max(1, len(tensors["words"]))
    pictures = len(tensors["picture_entity"])
    chosen = torch.zeros(pictures, dtype=torch.int64)
    if generator is not None:
        chosen = torch.randint(config.augmentations, (pictures,), generator=generator)
    place, shape = _places(tensors["picture_entity"], count)
    shown = {
        name: _spread(tensors[name][torch.arange(pictures), chosen], place, shape)
        for name in ("semantic", "face", "object", "is_face")
    }
    path, tracks = _places(tensors["track_entity"], count)
    clip = EncodedBatch(
        mean=tensors["mean"],
        logvar=tensors.get("logvar"),
        context=tensors["context"],
        words=_at_least_one(tensors["words"]),
        word_mask=_at_least_one(tensors["word_mask"]),
        **shown,
        picture_mask=_spread(torch.ones(pictures, dtype=torch.bool), place, shape),
        points=_spread(tensors["points"], path, tracks),
        visible=_spread(tensors["visible"], path, tracks),
        track_mask=_spread(torch.ones(len(path[0]), dtype=torch.bool), path, tracks),
        flow_mean=tensors.get("flow_mean"),
        flow_logvar=tensors.get("flow_logvar"),
    )
    return clip._each(lambda _, value: value[None])


def _places(owner: Tensor, count: int) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    """Where each item goes, (its entity, its number there), and how many places there are."""
    same = owner[:, None] == owner[None]
    number = same.tril(-1).sum(1)
    return (owner, number), (count, int(number.max()) + 1 if len(owner) else 1)


def _spread(items: Tensor, place: tuple[Tensor, Tensor], shape: tuple[int, int]) -> Tensor:
    return items.new_zeros(*shape, *items.shape[1:]).index_put(place, items)


def _at_least_one(x: Tensor) -> Tensor:
    """At least one entity with at least one token, which a mask keeps out."""
    count, length = (max(1, size) for size in x.shape[:2])
    if (count, length) == tuple(x.shape[:2]):
        return x
    padded = x.new_zeros(count, length, *x.shape[2:])
    padded[: x.shape[0], : x.shape[1]] = x
    return padded
