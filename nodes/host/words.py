"""Entity words through the host's text encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...tora2.text import word_states


def encode_word(clip: Any, word: str) -> Tensor:
    """Hidden states [L, D] of the own tokens of a word that is encoded alone; see `word_states`."""
    escaped = word.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    tokens = clip.tokenize(escaped)
    hidden = clip.encode_from_tokens(tokens)
    batch = next(iter(tokens.values()))[0]
    # A token may be an embedding of the user's instead of a number; it is no padding either.
    ids = torch.tensor([[token if isinstance(token, int) else -1 for token, *_ in batch]])
    kept, own = word_states(hidden, ids)
    return kept[0, own[0]]
