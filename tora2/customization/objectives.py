"""Losses that keep a motion apart from the looks of the clips that show it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def debiased(video: Tensor, frame: int, beta: float = 1.0) -> Tensor:
    """√(β² + 1) · x − β · x[frame]: a video less what it shares with one of its frames.

    The map is linear, so it holds for ε, v, flow and clean latents alike.

    Args:
        video: [B, C, T, H, W].
        frame: of T, drawn anew in every step.
        beta: how much of the frame is taken away; 0 leaves the video.

    Source: MotionDirector's appearance-debiased temporal loss, as "Separate Motion from
    Appearance" trains with it.
    """
    alpha = (beta**2 + 1) ** 0.5
    return alpha * video - beta * video[:, :, frame : frame + 1]


def debiased_loss(predicted: Tensor, target: Tensor, frame: int, beta: float = 1.0) -> Tensor:
    """Mean-squared error of both videos `debiased` by the same frame; see there.

    It stands beside the plain error, not in its place.

    Args:
        predicted, target: [B, C, T, H, W].
    """
    return F.mse_loss(
        debiased(predicted.float(), frame, beta), debiased(target.float(), frame, beta)
    )


def appearance_agnostic_target(target: Tensor, appearance: Tensor, omega: float = 0.5) -> Tensor:
    """(1 + ω) · target − ω · appearance: a target turned away from what looks alone explain.

    It is affine with weights that add up to 1, so it is the same in ε-, v- and flow-space.

    Args:
        target: [B, C, T, H, W], what the plain loss has as its target.
        appearance: alike, the base model's prediction under a caption of the appearance only.
        omega: ω; 0 is the plain target.

    Source: VideoMage, appearance-agnostic motion learning (ω 0.5 on noise).
    """
    return (1 + omega) * target - omega * appearance.detach()


def attention_loss(attention: Tensor, masks: Tensor) -> Tensor:
    """The mean share of each subject's attention that lies outside its mask, in [0, 1].

    VideoMage regularises the subjects' cross-attention by their masks on composed pictures; the
    share is our measure of it, which is 0 where all attention is inside.

    Args:
        attention: [B, S, N], how much each of N video tokens attends to the words of subject s;
            not negative.
        masks: [B, S, N] bool, where subject s is. A subject without any is left out.

    Returns:
        A scalar; zero where no subject has a mask.
    """
    inside = (attention * masks).sum(-1) / attention.sum(-1).clamp(min=1e-12)
    there = masks.any(-1).float()
    return ((1 - inside) * there).sum() / there.sum().clamp(min=1)
