"""Text as CogVideoX and Wan read it, and entity words alone (docs/method.md, Binding)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

WORD_TOKENS = 8


def token_ids(tokenizer: Any, texts: Sequence[str], length: int) -> Tensor:
    """[B, length] token ids, truncated and padded with 0, each closed by the end token."""
    encoded = tokenizer(
        list(texts),
        padding="max_length",
        max_length=length,
        truncation=True,
        add_special_tokens=True,
        return_tensors="pt",
    )
    ids: Tensor = encoded.input_ids
    return ids


def encode_prompts(text_encoder: Any, ids: Tensor) -> Tensor:
    """Hidden states [B, L, D] of token ids [B, L].

    Like CogVideoX, without an attention mask. Wan's UMT5 has one, and zeros in place of padding.
    """
    ids = ids.to(text_encoder.device)
    if text_encoder.config.model_type != "umt5":
        hidden: Tensor = text_encoder(ids)[0]
        return hidden
    own = ids != 0
    masked: Tensor = text_encoder(ids, attention_mask=own.long())[0]
    return masked * own[..., None].to(masked.dtype)


def encode_words(text_encoder: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens c_i of entity words.

    A word is encoded alone, as a caption would be, so that every host does it alike.

    Args:
        text_encoder: a T5 encoder.
        ids: [B, L] token ids of the words.

    Returns:
        As `word_states`.
    """
    return word_states(encode_prompts(text_encoder, ids), ids)


def word_states(hidden: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """What is kept of words that were encoded alone.

    Args:
        hidden: [B, L, D] hidden states of the padded words.
        ids: [B, L] their token ids; 0 is padding. A word's end token counts as its own.

    Returns:
        Hidden states [B, 8, D] and a mask [B, 8] bool of those that belong to the word.
    """
    kept = min(WORD_TOKENS, ids.shape[1])
    lengths = (ids != 0).sum(1, keepdim=True).to(hidden.device)
    return hidden[:, :kept], torch.arange(kept, device=hidden.device) < lengths
