"""RAFT's flow (Teed and Deng, 2020) from frame to frame, chained; with torchvision and its weights.

A point is lost where the flow back does not lead to where it came from.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import Followed, Query, check_queries

_MULTIPLE, _LEAST = 8, 128
_AREA = 520 * 960  # pixels at which it looks at the video at most, as where it was trained
_RETURN = 1.0
_DAMAGE = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    EOFError,
    pickle.UnpicklingError,
)
_NEEDS = (
    "the tracker raft needs {}: torchvision's raft_large (raft_large_C_T_SKHT_V2, BSD-3-Clause) "
    "or raft_small, as a .pth file"
)


def load(weights: str | os.PathLike[str] | None = None) -> Raft:
    """See `trackers.load`; `weights` is torchvision's file of RAFT, large or small."""
    try:
        from torchvision.models.optical_flow import raft_large, raft_small
    except ImportError:
        raise ValueError(_NEEDS.format("the package torchvision")) from None
    if weights is None:
        raise ValueError(_NEEDS.format("a weights file"))
    name = os.fspath(weights)
    open(name, "rb").close()
    try:
        state = torch.load(name, map_location="cpu", weights_only=True)
        small = len(state) < len(raft_large().state_dict())
        model = (raft_small if small else raft_large)()
        model.load_state_dict(state)
    except _DAMAGE as error:
        raise ValueError(f"{name} cannot be loaded, expected RAFT's weights") from error
    return Raft(model.to("cuda" if torch.cuda.is_available() else "cpu").eval())


class Raft:
    """See the module.

    Args:
        model: takes two pictures float [1, 3, H, W] in [-1, 1] and gives a list of flows
            [1, 2, H, W] in pixels, the best one last.
    """

    name = "raft"
    licence = "torchvision's RAFT, BSD-3-Clause"

    def __init__(self, model: Any) -> None:
        self.model = model

    @torch.no_grad()
    def follow(self, frames: Tensor, queries: Sequence[Query]) -> Followed:
        """See `Tracker.follow`."""
        check_queries(frames, queries)
        count, height, width, _ = frames.shape
        size = _size(height, width)
        scale = torch.tensor([size[1] / width, size[0] / height])
        points = torch.full((len(queries), count, 2), torch.nan)
        for row, query in enumerate(queries):
            points[row, query.frame] = torch.tensor([query.x, query.y]) * scale
        if not queries:
            return Followed(points, size)
        starts = torch.tensor([query.frame for query in queries])
        flows = _Flows(self.model, frames, size)
        for before in range(count - 1):  # forth
            _chain(points, starts <= before, before, before + 1, flows)
        for before in range(count - 1, 0, -1):  # and back
            _chain(points, starts >= before, before, before - 1, flows)
        return Followed(points / scale, size)


class _Flows:
    """The flow between two frames, at a size that RAFT takes."""

    def __init__(self, model: Any, frames: Tensor, size: tuple[int, int]) -> None:
        self.model, self.frames, self.size = model, frames, size
        self.device = next(iter(model.parameters()), torch.empty(0)).device

    def __call__(self, before: int, after: int) -> Tensor:
        """[1, 2, H, W] in pixels of `size`."""
        flow: Tensor = self.model(self._picture(before), self._picture(after))[-1]
        return flow.float().cpu()

    def _picture(self, time: int) -> Tensor:
        frame = self.frames[time].movedim(-1, 0)[None].to(self.device).float() / 127.5 - 1
        return F.interpolate(frame, self.size, mode="bilinear", antialias=True)


def _chain(points: Tensor, chosen: Tensor, before: int, after: int, flows: _Flows) -> None:
    """Move the chosen points [N, T, 2] from one frame to the next, in place."""
    chosen = chosen & points[:, before].isfinite().all(-1)
    if not bool(chosen.any()):
        return
    here = points[chosen, before]
    there = here + _at(flows(before, after), here)
    back = there + _at(flows(after, before), there)
    limit = torch.tensor([flows.size[1], flows.size[0]])
    kept = ((back - here).norm(dim=-1) < _RETURN) & ((there >= 0) & (there <= limit)).all(-1)
    points[chosen, after] = torch.where(kept[:, None], there, torch.nan)


def _at(flow: Tensor, places: Tensor) -> Tensor:
    """A flow [1, 2, H, W] at places [n, 2] in pixels, by bilinear interpolation."""
    height, width = flow.shape[-2:]
    grid = places / torch.tensor([width, height]) * 2 - 1
    found = F.grid_sample(flow, grid[None, None], padding_mode="border", align_corners=False)
    return found[0, :, 0].T


def _size(height: int, width: int) -> tuple[int, int]:
    """The size at which RAFT looks: multiples of 8, at least 128, not much above its training."""
    scale = min(1.0, (_AREA / (height * width)) ** 0.5)
    sides = (max(_LEAST, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in (height, width))
    return next(sides), next(sides)
