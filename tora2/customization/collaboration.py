"""What one step of spatial-temporal collaborative sampling is made of, whatever host runs it.

A branch with the subject's LoRA says how things look, one with the motion's how they move. In the
first steps each latent is led towards what the other attends to: the subject's to the motion's
attention over time, the motion's to the subject's attention to the words.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import SeenAttention, cross_attention, temporal_attention

Kind = Literal["subject", "motion"]
KINDS: tuple[Kind, Kind] = ("subject", "motion")

KEPT = 30
"""Numbers a token and channel that a block of CogVideoX keeps for its gradient, at most."""


@dataclass(frozen=True)
class Collaboration:
    """Weights of the two branches, and how they are led.

    Attributes:
        subject, motion: β of both; they add up to 1. A branch of weight 0 is not run, and nothing
            is led towards it.
        steps: τ, first steps in which the branches are led; 0 is the light mode, which mixes the
            predictions alone and needs no gradients.
        rate: α, how far a latent goes down the gradient of its loss, which is a mean square.
        limit: the farthest it goes, as a share of its own norm.
        blocks: which blocks' attention is looked at; empty for the one in the middle. Blocks after
            the last of them are not run for it.

    Source: VideoMage, spatial-temporal collaborative sampling (β 0.5 each, τ 15, α 1e4). The limit
    and the choice of blocks are ours.
    """

    subject: float = 0.5
    motion: float = 0.5
    steps: int = 15
    rate: float = 1e4
    limit: float = 0.05
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (0 <= self.subject <= 1 and abs(self.subject + self.motion - 1) < 1e-6):
            raise ValueError(
                f"the weights of subject and motion are {self.subject:g} and {self.motion:g}, "
                "expected two of 0 to 1 that add up to 1"
            )

    def leads(self, step: int) -> bool:
        """Whether the branches are led in a step, counted from 0."""
        return step < self.steps and self.subject > 0 and self.motion > 0

    def looked_at(self, blocks: int) -> tuple[int, ...]:
        """Numbers of the blocks, of so many, whose attention is looked at.

        Raises:
            ValueError: if the model has no such block.
        """
        for number in self.blocks:
            if not 0 <= number < blocks:
                raise ValueError(f"block {number} is not there, expected 0 to {blocks - 1}")
        return self.blocks or (blocks // 2,)

    def memory(self, blocks: int, tokens: int, dim: int, bytes_each: int) -> int:
        """Bytes that leading keeps for its gradients, beyond the model: an upper estimate.

        Args:
            blocks: of the model.
            tokens: text's and video's together, of all clips of a batch.
            dim: channels of a token.
            bytes_each: of a number.
        """
        run = max(self.looked_at(blocks)) + 1
        return run * KEPT * tokens * dim * bytes_each


@dataclass(frozen=True, eq=False)
class Maps:
    """Attention of one branch in some blocks.

    Attributes:
        words: [K, B, N, L], how much each video token attends to each text token.
        times: [K, B, P, T, T], how much each place attends to itself at other times.
    """

    words: Tensor
    times: Tensor


class _Enough(Exception):
    """All that is needed of a run has been seen."""


def maps_of(
    run: Callable[[], object],
    blocks: tuple[int, ...],
    frames: int,
    places: int,
    stop: bool = True,
) -> Maps:
    """The maps of a run of a transformer with one attention a block.

    Args:
        run: runs it, with gradients or without.
        blocks: looked at.
        frames: latent frames; `places`: tokens of each. What stands before them is the text's.
        stop: end the run after the last of the blocks. Not where blocks are recomputed.

    Raises:
        ValueError: if the model attends to the text apart.
    """
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(number: int, queries: Tensor, keys: Tensor) -> None:
        seen.append((queries, keys))
        if stop and number == max(blocks):
            raise _Enough

    try:
        with SeenAttention(blocks, keep):
            run()
    except _Enough:
        pass
    text = seen[0][0].shape[2] - frames * places
    if text <= 0:
        raise ValueError(
            "this model does not attend to text and video together, so its branches cannot be led; "
            "expected 0 steps of leading (the light mode)"
        )
    return Maps(
        torch.stack([cross_attention(q, k, text) for q, k in seen]),
        torch.stack([temporal_attention(q, k, text, frames) for q, k in seen]),
    )


def alignment_loss(kind: Kind, own: Maps, other: Maps) -> Tensor:
    """How far a branch's attention is from what the other leads it to, a mean square.

    The subject's branch is led to the motion's attention over time (L_m→s), the motion's to the
    subject's attention to the words (L_s→m).
    """
    if kind == "subject":
        return F.mse_loss(own.times, other.times)
    return F.mse_loss(own.words, other.words)


def led(
    settings: Collaboration,
    x: Tensor,
    see: Callable[[Kind, Tensor], Maps],
    within: Callable[[Kind], AbstractContextManager[object]],
    scale: float = 1.0,
) -> dict[Kind, Tensor]:
    """The latents of both branches after one step down their losses.

    Args:
        x: [B, C, T, H, W], the latents of a step.
        see: the maps of a branch at some latents, with gradients to them.
        within: a context in which the model is a branch's, for its run and for its gradient.
        scale: of x to the latents that the transformer reads.

    Returns:
        Latents of the subject's and of the motion's branch, without gradients.
    """
    moved: dict[Kind, Tensor] = {}
    with torch.inference_mode(False), torch.enable_grad():
        start = x.detach().clone()
        seen: dict[Kind, Maps] = {}
        for kind in KINDS:
            with torch.no_grad(), within(kind):
                seen[kind] = see(kind, start)
        for kind, other in (KINDS, KINDS[::-1]):
            leaf = start.clone().requires_grad_()
            with within(kind):
                loss = alignment_loss(kind, see(kind, leaf), seen[other])
                (gradient,) = torch.autograd.grad(loss, leaf)
            step = settings.rate / scale**2 * gradient
            most = settings.limit * start.norm()
            moved[kind] = start - step * (most / step.norm().clamp(min=1e-12)).clamp(max=1)
    return moved
