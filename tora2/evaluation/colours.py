"""Bind accuracy of any video: whether the colour at a path is that of its own entity's picture.

As for the bundled model: most of the coloured pixels in a square around a requested point are of
the entity's hue. Points count where a path is visible and within the frame, as in TrajError;
entities without a picture or a path, without a colour, or with that of another entity do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import torch
from torch import Tensor

from ..trajectory import TrajectoryDocument
from .measuring import asked
from .metrics.colour import bound, dominant_hue, hue_gap

_APART = 0.1  # turns


def bind_shares(
    frames: Tensor, document: TrajectoryDocument, pictures: Mapping[str, Tensor]
) -> dict[str, tuple[int, int]]:
    """How many points of each entity's paths have its colour, and how many there are.

    Args:
        frames: uint8 [T, H, W, 3] of any length and size.
        document: the paths that were asked for.
        pictures: uint8 [3, H, W] by entity.

    Raises:
        ValueError: unless two entities at least have paths and pictures of colours of their own: of
            one alone nothing could be mistaken.
    """
    count, height, width, _ = frames.shape
    requested, counted = asked(document, count, (height, width))
    hues: dict[str, float] = {}
    for name, picture in pictures.items():
        with suppress(ValueError):  # without colour
            hues[name] = dominant_hue(picture)
    every = torch.tensor(list(hues.values()))
    known = {n: h for n, h in hues.items() if int((hue_gap(every, h) < _APART).sum()) == 1}
    rows = [
        row
        for row, track in enumerate(document.tracks)
        if track.entity in known and bool(counted[row].any())
    ]
    owners = [str(document.tracks[row].entity) for row in rows]
    if len(set(owners)) < 2:
        raise ValueError(
            f"{len(set(owners))} entities have a path and a picture of a colour of their own, "
            "expected at least two for the bind accuracy"
        )
    names = list(known)
    shares = dict.fromkeys(dict.fromkeys(owners), (0, 0))
    for time in range(count):
        frame = frames[time][None].cpu().float() / 255
        for row, owner in zip(rows, owners, strict=True):
            if counted[row, time]:
                place = requested.points[row, time][None, None]
                order = [owner, *(name for name in names if name != owner)]
                right = bound(frame, [known[name] for name in order], place)
                found, points = shares[owner]
                shares[owner] = found + int(right[0, 0]), points + 1
    return shares
