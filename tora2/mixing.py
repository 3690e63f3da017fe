"""Paths of some entities more than of others: mixtures of conditions with and without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from .conditioning import Tora2Conditioning
from .scene import Window

Entities = frozenset[int]

MAX_SETS = 16
"""Of entities whose paths are told, each of which is encoded and kept."""


def levels(strengths: Sequence[float]) -> list[tuple[float, Entities]]:
    """Sets of entities, and how much each counts; the shares add up to 1.

    An entity of strength w is in the sets that count w together, and weaker ones are in no set
    without the stronger. Strengths of 0 and 1 alone give one set, those at 1.
    """
    steps = sorted({0.0, 1.0, *strengths})
    return [
        (high - low, frozenset(i for i, one in enumerate(strengths) if one >= high))
        for low, high in pairwise(steps)
    ]


def every_set(dials: Sequence[Window]) -> list[Entities]:
    """All sets that `levels` gives at any time of the sampling; the fullest first.

    Raises:
        ValueError: if there are more than `MAX_SETS`.
    """
    edges = sorted({0.0, 1.0, *(t for one in dials for t in (one.start, one.end))})
    times = [*edges, *((a + b) / 2 for a, b in pairwise(edges))]
    found = {
        entities
        for time in times
        for _, entities in levels(
            [one.strength if one.start <= time <= one.end else 0.0 for one in dials]
        )
    }
    if len(found) > MAX_SETS:
        raise ValueError(
            f"the motion dials of {len(dials)} entities ask for {len(found)} different sets of "
            f"paths, expected at most {MAX_SETS}: give more of them one strength, start and end"
        )
    return sorted(found, key=lambda one: (-len(one), sorted(one)))


@dataclass(frozen=True, eq=False)
class Mixture:
    """Conditions of one clip with the paths of one set of entities or another.

    Attributes:
        dials: for each entity, how strongly and when its paths act; strengths in [0, 1].
        parts: the conditions for each of `every_set(dials)`.
    """

    dials: tuple[Window, ...]
    parts: Mapping[Entities, Tora2Conditioning]

    def at(self, strengths: Sequence[float]) -> Tora2Conditioning:
        """The conditions with every entity's paths at one of its strengths: 0, or its dial's.

        At 0 and 1 alone they are one of the parts. Between, what the fusers add is the mean of
        what they would add for the parts: they are affine in the features.
        """
        return mixed([(share, self.parts[entities]) for share, entities in levels(strengths)])

    def to(self, device: torch.device | str) -> Mixture:
        """The same on a device."""
        return replace(self, parts={key: part.to(device) for key, part in self.parts.items()})


def mixed(parts: Sequence[tuple[float, Tora2Conditioning]]) -> Tora2Conditioning:
    """A mean of conditions that differ in their paths alone, by shares that add up to 1."""
    first = parts[0][1]
    if len(parts) == 1:
        return first
    moving = [(share, part) for share, part in parts if part.features is not None]
    total = sum(share for share, _ in moving)
    features = None
    if moving:
        layers = zip(*(part.features or () for _, part in moving), strict=True)
        shares = [share / total for share, _ in moving]
        features = tuple(_mean(shares, layer) for layer in layers)
    shares = [share for share, _ in parts]
    keys_values = {
        layer: (
            _mean(shares, [(part.keys_values or {})[layer][0] for _, part in parts]),
            _mean(shares, [(part.keys_values or {})[layer][1] for _, part in parts]),
        )
        for layer in first.keys_values or {}
    }
    return replace(
        first,
        features=features,
        frames=max(part.frames for _, part in parts),
        keys_values=keys_values,
        motion_strength=first.motion_strength * total,
    )


def _mean(shares: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    result = values[0] * shares[0]
    for share, value in zip(shares[1:], values[1:], strict=True):
        result = result + value * share
    return result
