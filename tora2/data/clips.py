"""A batch of encoded clips, whatever they come from, and its entities as the adapter reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..models.adapter import EntityBatch

# Words stand in a table of the set, not in a clip, so that each is encoded once a step.
_SHARED = "vocabulary"


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """B encoded clips, padded to N entities and R pictures.

    Attributes:
        latents, motion: [B, C, T_l, h, w] float16, scaled latents of the frames and flow picture.
        region: [B, 1, T_l, h, w] bool, latent cells that an entity touches.
        captions: [B, L] token ids.
        vocabulary: [V, L] token ids of the entity words, one a row, for all clips together.
        words: [B, N] row of `vocabulary`, -1 where there is no entity.
        pictures: [B, N, R, 3, S, S] uint8; picture_mask: [B, N, R] bool.
        points: [B, N, T, 2] normalised (x, y) at every video frame; visible: [B, N, T] bool.
        track_mask: [B, N] bool.
    """

    latents: Tensor
    motion: Tensor
    region: Tensor
    captions: Tensor
    vocabulary: Tensor
    words: Tensor
    pictures: Tensor
    picture_mask: Tensor
    points: Tensor
    visible: Tensor
    track_mask: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, rows: Tensor) -> ClipBatch:
        return self._each(lambda name, value: value if name == _SHARED else value[rows])

    @property
    def told(self) -> Tensor:
        """[B] bool, clips that have entities, each with a picture and a track."""
        pictured = self.picture_mask.any(-1)
        present = (self.words >= 0) | pictured | self.track_mask
        return (~present | (pictured & self.track_mask)).all(1) & present.any(1)

    def to(self, device: torch.device) -> ClipBatch:
        """The same clips on a device."""
        return self._each(lambda _, value: value.to(device))

    def check(self, like: ClipBatch, tokens: int) -> None:
        """Refuse clips that are not of the same set as others.

        Args:
            like: clips of the set, at least one.
            tokens: number of different token ids.

        Raises:
            ValueError: names the tensor that has another type, shape or range.
        """
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(like, field.name)
            expected = (len(self), *theirs.shape[1:]) if field.name != _SHARED else theirs.shape
            if mine.dtype != theirs.dtype or mine.shape != expected:
                raise ValueError(
                    f"{field.name} is {mine.dtype} {tuple(mine.shape)}, "
                    f"expected {theirs.dtype} {tuple(expected)}"
                )
        if len(self) == 0:
            raise ValueError("there are no clips, expected at least one")
        if not torch.equal(self.vocabulary, like.vocabulary):
            raise ValueError("the vocabulary is another one")
        for name, low, high in (("words", -1, len(like.vocabulary)), ("captions", 0, tokens)):
            value = getattr(self, name)
            if not (low <= int(value.min()) and int(value.max()) < high):
                raise ValueError(f"{name} are from {value.min()} to {value.max()}, of {high}")

    @classmethod
    def concatenate(cls, parts: Sequence[ClipBatch]) -> ClipBatch:
        """All clips of some batches of one set.

        Raises:
            ValueError: if their words are not the same.
        """
        first = parts[0]
        if any(not torch.equal(part.vocabulary, first.vocabulary) for part in parts):
            raise ValueError("the batches have different words, expected clips of one set")
        return first._each(
            lambda name, value: (
                value if name == _SHARED else torch.cat([getattr(part, name) for part in parts])
            )
        )

    def _each(self, change: Callable[[str, Tensor], Tensor]) -> ClipBatch:
        return ClipBatch(*(change(f.name, getattr(self, f.name)) for f in fields(self)))


def entity_batch(
    clips: ClipBatch,
    encoder: Callable[[Tensor], tuple[Tensor, Tensor]],
    words: Tensor,
    word_mask: Tensor,
    face_dim: int,
) -> EntityBatch:
    """Entities of a batch of clips, gradients flowing into the picture encoder and the words.

    Args:
        clips: the B clips; masks already carry the condition drops.
        encoder: pictures [P, 3, S, S] in [0, 1] to semantic tokens [P, K, D] and identities [P, D].
        words: [V, L, D] tokens of the vocabulary; word_mask: [V, L] bool.
        face_dim: width of the face branch, which such clips do not use.
    """
    shown = clips.picture_mask.nonzero(as_tuple=True)
    batch, count, references = clips.picture_mask.shape
    semantic, prior = encoder(clips.pictures[shown].float() / 255)
    empty = semantic.new_zeros(batch, count, references, *semantic.shape[1:])
    empty_prior = prior.new_zeros(batch, count, references, prior.shape[-1])
    known = clips.words >= 0
    rows = clips.words.clamp(min=0)
    return EntityBatch(
        semantic=empty.index_put(shown, semantic),
        face=semantic.new_zeros(batch, count, references, face_dim),
        object=empty_prior.index_put(shown, prior),
        is_face=torch.zeros_like(clips.picture_mask),
        picture_mask=clips.picture_mask,
        words=words[rows],
        word_mask=word_mask[rows] & known[..., None],
        points=clips.points[:, :, None],
        visible=clips.visible[:, :, None],
        track_mask=clips.track_mask[..., None],
        strength=torch.ones_like(rows, dtype=torch.float32),
    )
