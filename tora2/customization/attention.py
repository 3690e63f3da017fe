"""What a transformer's attention looks at: queries and keys as they meet, and maps of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_ATTENTION = F.scaled_dot_product_attention


class SeenAttention(TorchFunctionMode):
    """A context in which the queries and keys of some calls of self-attention are kept.

    Args:
        calls: which calls are kept, counted from 0 in the order they run.
        seen: called with (number, queries, keys), both [B, heads, L, d]; may raise to stop the
            model, once nothing of what follows is needed.
    """

    def __init__(self, calls: Collection[int], seen: Callable[[int, Tensor, Tensor], None]) -> None:
        super().__init__()
        self.calls, self.seen, self._count = calls, seen, 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        # An adapter's attention to pictures has keys of another length and does not count.
        if function is _ATTENTION and args[0].shape == args[1].shape:
            number, self._count = self._count, self._count + 1
            if number in self.calls:
                self.seen(number, args[0], args[1])
        return function(*args, **(kwargs or {}))


def cross_attention(queries: Tensor, keys: Tensor, text: int) -> Tensor:
    """How much every video token attends to every text token: [B, N, L], a mean over heads.

    Joint attention weighs text and video together, and this is the video-to-text part of it.

    Args:
        queries, keys: [B, heads, L + N, d], the text's L tokens first.
        text: L.
    """
    scale = queries.shape[-1] ** -0.5
    scores = queries[:, :, text:].float() @ keys.float().transpose(-1, -2) * scale
    return scores.softmax(-1)[..., :text].mean(1)


def temporal_attention(queries: Tensor, keys: Tensor, text: int, frames: int) -> Tensor:
    """How much the token at a place attends to the same place at other times: [B, P, T, T].

    It is what remains of attention over time where attention is over everything: the scores among
    the T tokens of one place, made to add up to one, as a mean over heads.

    Args:
        queries, keys: [B, heads, L + T · P, d], the text's L tokens first, then frame by frame.
        text: L.
        frames: T, in latent frames.
    """
    batch, heads, _, width = queries.shape
    q, k = (
        one[:, :, text:].float().view(batch, heads, frames, -1, width).transpose(2, 3)
        for one in (queries, keys)
    )
    return (q @ k.transpose(-1, -2) * width**-0.5).softmax(-1).mean(1)
