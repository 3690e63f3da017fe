"""By colour, for the bundled model: its things are saturated and its backgrounds muted.

A thing's hue is that of its picture, or where it has none, of the video around the query, if that
has one colour. Things of nearly one hue cannot be told apart and are not found.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

from ..metrics.colour import dominant_hue, hue_gap, locate
from . import Followed, Query, check_queries, no_weights

_APART = 0.1
_REACH = 4
_AGREED = 0.7  # of the hues around a query without a picture, which may be of anything


def load(weights: str | os.PathLike[str] | None = None) -> Colour:
    """See `trackers.load`."""
    no_weights("colour", weights)
    return Colour()


class Colour:
    """See the module."""

    name = "colour"
    licence = "Tora2, Apache-2.0"

    def follow(self, frames: Tensor, queries: Sequence[Query]) -> Followed:
        """See `Tracker.follow`: the centroid of each colour in every frame."""
        check_queries(frames, queries)
        count, height, width, _ = frames.shape
        points = torch.full((len(queries), count, 2), torch.nan)
        hues: dict[int, float] = {}  # by thing
        for index, query in enumerate(queries):
            with suppress(ValueError):  # without colour: there is nothing to follow
                agreed = 0.0 if query.picture is not None else _AGREED
                hues[_thing(query, index)] = dominant_hue(_looks(frames, query), agreed)
        every = torch.tensor(list(hues.values()))
        places = dict(zip(hues, _located(frames, every.tolist()), strict=True))
        for index, query in enumerate(queries):
            hue = hues.get(_thing(query, index))
            if hue is not None and int((hue_gap(every, hue) < _APART).sum()) == 1:
                points[index] = places[_thing(query, index)]
        return Followed(points, (height, width))


def _thing(query: Query, index: int) -> int:
    return -1 - index if query.picture is None else id(query.picture)


def _looks(frames: Tensor, query: Query) -> Tensor:
    """uint8 [3, h, w] of what is followed."""
    if query.picture is not None:
        return query.picture
    left, top = max(int(query.x) - _REACH, 0), max(int(query.y) - _REACH, 0)
    part = frames[query.frame, top : int(query.y) + _REACH + 1, left : int(query.x) + _REACH + 1]
    return part.movedim(-1, 0).cpu()


def _located(frames: Tensor, hues: list[float]) -> Tensor:
    """[N, T, 2], a frame at a time: a whole video as floats would be large."""
    if not hues:
        return torch.empty(0, len(frames), 2)
    return torch.cat([locate(frame[None].cpu().float() / 255, hues) for frame in frames], 1)
