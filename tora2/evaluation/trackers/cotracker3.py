"""CoTracker3 (Karaev et al., 2024), from the package or checkout and the weights of the user."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import Followed, Query, check_queries

_NEEDS = (
    "the tracker cotracker3 needs {}: github.com/facebookresearch/co-tracker, installed or on "
    "PYTHONPATH, and its weights scaled_offline.pth (both CC-BY-NC-4.0, not for commercial use)"
)


def load(weights: str | os.PathLike[str] | None = None) -> CoTracker3:
    """See `trackers.load`; `weights` is the offline model's file."""
    try:
        from cotracker.predictor import CoTrackerPredictor
    except ImportError:
        raise ValueError(_NEEDS.format("the package cotracker")) from None
    if weights is None:
        raise ValueError(_NEEDS.format("a weights file"))
    open(weights, "rb").close()
    try:
        predictor = CoTrackerPredictor(checkpoint=os.fspath(weights))
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{os.fspath(weights)} cannot be loaded ({reason}), expected CoTracker3's weights"
        ) from error
    return CoTracker3(predictor.to("cuda" if torch.cuda.is_available() else "cpu").eval())


class CoTracker3:
    """See the module. Every query is followed both ways; a point that is hidden keeps its place.

    Args:
        predictor: takes videos float [1, T, 3, H, W] in 0 to 255, `queries` [1, N, 3] as
            (frame, x, y) and `backward_tracking`; gives tracks [1, T, N, 2] and visibility.
    """

    name = "cotracker3"
    licence = "CoTracker3, CC-BY-NC-4.0: not for commercial use"

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor

    @torch.no_grad()
    def follow(self, frames: Tensor, queries: Sequence[Query]) -> Followed:
        """See `Tracker.follow`."""
        check_queries(frames, queries)
        count, height, width, _ = frames.shape
        seen = tuple(getattr(self.predictor, "interp_shape", (height, width)))
        if not queries:
            return Followed(torch.empty(0, count, 2), seen)
        parameter = next(iter(self.predictor.parameters()), torch.empty(0))
        video = frames.movedim(-1, 1)[None].to(parameter.device).float()
        # Its coordinates are those of pixel centres, 0 the first.
        places = [(float(query.frame), query.x - 0.5, query.y - 0.5) for query in queries]
        asked = torch.tensor([places], device=video.device)
        tracks, _ = self.predictor(video, queries=asked, backward_tracking=True)
        points = tracks[0].transpose(0, 1).float().cpu() + 0.5
        return Followed(points, seen)
