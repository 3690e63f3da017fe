"""How well the bundled model's sprites kept to their paths."""

from __future__ import annotations

import math
from contextlib import suppress

import torch
from torch import Tensor

from ..encoders.pictures import load_picture, on_white
from ..pipeline import Tora2Output
from ..scene import Scene
from .metrics import trajectory_error
from .metrics.colour import dominant_hue, hue_gap, locate

_COLORED_APART = 0.1


def measure(result: Tora2Output, scene: Scene) -> Tensor:
    """Where the bundled model's sprites are, told apart by the colours of their pictures.

    Returns:
        [N, T, 2] pixels for every track, NaN where its entity is not seen, has no picture, or has
        no colour of its own.
    """
    hues: dict[str, float] = {}
    for entity in scene.entities:
        if entity.images:
            with suppress(ValueError):  # a picture without colour: there is nothing to follow
                hues[entity.id] = dominant_hue(on_white(load_picture(entity.images[0])))
    measured = torch.full_like(result.tracks.points, torch.nan)
    if not hues:
        return measured
    every = torch.tensor(list(hues.values()))
    found = dict(zip(hues, locate(result.frames, every.tolist()), strict=True))
    for row, track in enumerate(scene.trajectories.tracks):
        hue = hues.get(track.entity or "")
        if hue is not None and int((hue_gap(every, hue) < _COLORED_APART).sum()) == 1:
            measured[row] = found[str(track.entity)]
    return measured


def report(result: Tora2Output, scene: Scene, measured: Tensor) -> list[str]:
    """One line for every entity with a track: its TrajError."""
    lines = []
    for entity in scene.entities:
        rows = [i for i, t in enumerate(scene.trajectories.tracks) if t.entity == entity.id]
        if not rows:
            continue
        tracks = result.tracks
        error = trajectory_error(measured[rows], tracks.points[rows], tracks.visible[rows])
        said = f"{error:.2f} px" if math.isfinite(error) else "not measured, its colour is not seen"
        lines.append(f"TrajError of the {entity.word}: {said}")
    return lines
