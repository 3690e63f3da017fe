"""RAFT's flow for Dync-D, as MSRVTT-Personalization's evaluator runs it.

About eight frames a second, padded to multiples of eight by repeating the edge, twenty iterations.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .metrics.dynamic_degree import is_dynamic

_RATE, _ITERATIONS, _MULTIPLE = 8, 20, 8


def thinned(frames: Tensor, fps: float) -> Tensor:
    """Every so many frames of [T, H, W, 3] that about eight a second are left."""
    return frames[:: max(1, round(fps / _RATE))]


@torch.no_grad()
def dynamic_degree(frames: Tensor, fps: float, model: Any) -> bool:
    """Whether a video moves.

    Args:
        frames: uint8 [T, H, W, 3].
        fps: frames per second.
        model: torchvision's RAFT, or what takes two pictures float [1, 3, H, W] in [-1, 1] and
            `num_flow_updates`, and gives a list of flows.

    Raises:
        ValueError: for fewer than two frames at eight a second.
    """
    chosen = thinned(frames, fps)
    if len(chosen) < 2:
        raise ValueError(
            f"the video has {len(frames)} frames at {fps:g} a second, "
            "expected two frames at about eight a second for Dync-D"
        )
    height, width = chosen.shape[1:3]
    device = next(iter(model.parameters()), torch.empty(0)).device
    flows = []
    for before, after in zip(chosen[:-1], chosen[1:], strict=True):
        pair = [_padded(frame).to(device) for frame in (before, after)]
        flows.append(model(*pair, num_flow_updates=_ITERATIONS)[-1].float().cpu())
    return is_dynamic(torch.cat(flows), (height, width))


def _padded(frame: Tensor) -> Tensor:
    """[1, 3, H', W'] in [-1, 1] of uint8 [H, W, 3], with half of what is missing on each side."""
    picture = frame.movedim(-1, 0)[None].float() / 127.5 - 1
    rest_y, rest_x = (-side % _MULTIPLE for side in frame.shape[:2])
    sides = rest_x // 2, rest_x - rest_x // 2, rest_y // 2, rest_y - rest_y // 2
    return F.pad(picture, sides, mode="replicate")
