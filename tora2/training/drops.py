"""Conditions dropped in training, so that the model also does without (section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..data.clips import ClipBatch
from ..data.encoded import EncodedBatch
from .optimizer import Share

# T5's special tokens are pad 0, end 1 and unknown 2.
_UNKNOWN, _FIRST_WORD = 2, 3
_UNKNOWN_SHARE = 0.03
_MAX_ENTITIES = 64


@dataclass(frozen=True)
class Drops:
    """Probabilities of dropping a condition of a clip (section 4.1)."""

    caption: Share = 0.50
    references: Share = 0.33
    trajectories: Share = 0.33


@dataclass(frozen=True)
class EntityDrops(Drops):
    """The same, and probabilities of dropping those of one entity alone.

    A model that is to take entities without pictures or tracks beside entities with them has to
    see such clips.
    """

    entity_references: Share = 0.0
    entity_trajectories: Share = 0.0


def hide_words(clips: ClipBatch, generator: torch.Generator) -> ClipBatch:
    """Make a few words of the captions unknown, for captions with words that are not known."""
    hidden = torch.rand(clips.captions.shape, generator=generator) < _UNKNOWN_SHARE
    hidden &= clips.captions >= _FIRST_WORD
    return replace(clips, captions=torch.where(hidden, _UNKNOWN, clips.captions))


def drop_conditions(
    clips: ClipBatch, drops: Drops, empty: Tensor, generator: torch.Generator
) -> ClipBatch:
    """Drop caption, references and trajectories of whole clips (section 4.1).

    Args:
        clips: the batch.
        drops: the probabilities.
        empty: [1, L] token ids of the empty caption.
        generator: a row is drawn for every clip and condition.
    """

    def chance(probability: float) -> Tensor:
        return torch.rand(len(clips), 1, generator=generator) < probability

    captions = torch.where(chance(drops.caption), empty, clips.captions)
    no_references = chance(drops.references)
    # The word goes with the pictures in half of the drops, so that tracks are also bound to
    # words alone.
    no_words = no_references & chance(0.5)
    no_tracks = chance(drops.trajectories)
    return replace(
        clips,
        captions=captions,
        words=torch.where(no_words, -1, clips.words),
        picture_mask=clips.picture_mask & ~no_references[..., None],
        track_mask=clips.track_mask & ~no_tracks,
    )


def drop_encoded(
    clips: EncodedBatch,
    drops: EntityDrops,
    empty: Tensor,
    generator: torch.Generator,
    mine: slice,
    count: int,
) -> tuple[EncodedBatch, Tensor]:
    """Drop conditions of clips that were encoded beforehand (section 4.1).

    Args:
        clips: this process's share of the batch.
        drops: the probabilities.
        empty: [L, D] embedding of the empty caption.
        generator: draws for the clips of all processes, so that it does not matter how many
            there are.
        mine: which of them are `clips`.
        count: clips of all processes.

    Returns:
        The clips, and which of them [B] kept their motion.
    """
    entities = clips.track_mask.shape[1]

    def chance(probability: float, columns: int = 1) -> Tensor:
        # As many entities as a batch may have, whatever the padding of each process.
        drawn = torch.rand(count, max(columns, 1), generator=generator) < probability
        return drawn[mine].to(clips.context.device)

    no_caption = chance(drops.caption)
    no_references = chance(drops.references)
    # The word goes with the pictures in half of the drops, so that tracks are also bound to
    # words alone.
    no_words = no_references & chance(0.5)
    no_tracks = chance(drops.trajectories)
    alone = chance(drops.entity_references, _MAX_ENTITIES)[:, :entities]
    still = chance(drops.entity_trajectories, _MAX_ENTITIES)[:, :entities]
    kept = replace(
        clips,
        context=torch.where(no_caption[..., None], empty.to(clips.context), clips.context),
        word_mask=clips.word_mask & ~no_words[..., None],
        picture_mask=clips.picture_mask & ~(no_references | alone)[..., None],
        track_mask=clips.track_mask & ~(no_tracks | still)[..., None],
    )
    return kept, ~no_tracks[:, 0]
