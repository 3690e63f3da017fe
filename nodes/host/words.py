"""Entity words through the host's text encoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor

WORD_TOKENS = 8


def encode_word(clip: Any, word: str) -> Tensor:
    """Hidden states [L, D] of the own tokens of a word that is encoded alone, at most 8 of them.

    The word is padded like a prompt; its end token counts as its own, padding does not.
    """
    escaped = word.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    tokens = clip.tokenize(escaped)
    hidden = clip.encode_from_tokens(tokens)
    ids = next(iter(tokens.values()))[0]
    own = sum(not (isinstance(token, int) and token == 0) for token, *_ in ids)
    return hidden[0, : min(own, WORD_TOKENS)]
