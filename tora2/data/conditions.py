"""The conditions of encoded clips, made by encoders that may be training with the rest."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..conditioning import Tora2Conditioning
from ..models.adapter import Tora2Adapter
from ..text import encode_words
from .clips import ClipBatch, entity_batch


def condition_clips(
    clips: ClipBatch,
    adapter: Tora2Adapter,
    text_encoder: Any,
    picture_encoder: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> Tora2Conditioning:
    """Conditioning of a batch of clips with their words, pictures and tracks.

    Args:
        clips: the batch, on the device of the encoders.
        adapter: what the conditions are for.
        text_encoder: encodes the words' token ids.
        picture_encoder: as `entity_batch` takes it.
    """
    words, word_mask = encode_words(text_encoder, clips.vocabulary)
    entities = entity_batch(clips, picture_encoder, words, word_mask, adapter.config.face_dim)
    return Tora2Conditioning.from_batch(
        adapter, clips.motion.float(), entities, clips.track_mask.any(1).float()
    )
