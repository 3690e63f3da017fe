"""Conditions dropped in training, so that the model also does without (section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..data.clips import ClipBatch
from .optimizer import Share

# T5's special tokens are pad 0, end 1 and unknown 2.
_UNKNOWN, _FIRST_WORD = 2, 3
_UNKNOWN_SHARE = 0.03


@dataclass(frozen=True)
class Drops:
    """Probabilities of dropping a condition of a clip (section 4.1)."""

    caption: Share = 0.50
    references: Share = 0.33
    trajectories: Share = 0.33


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
