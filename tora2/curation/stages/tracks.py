"""Follows the entities through the clip, in two passes from the centres of their masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np

from ...evaluation.trackers import Tracker, load
from ...settings import Within
from ..candidate import Candidate, Entity, Mask
from ..following import Tracked, two_passes
from ..pretrained import FOLDER, on_gpu
from ..stage import Need, Resources

_WEIGHTS = Path(FOLDER, "scaled_offline.pth")
_HOME = Path("~/.cache/torch/hub/checkpoints/scaled_offline.pth")


@dataclass(frozen=True)
class Config:
    """The section `tracks` of the settings.

    Attributes:
        tracker: one of `evaluation.trackers`; `auto` is the paper's CoTracker3 where its package
            and weights are, and lucas_kanade, which needs no weights, where they are not.
        weights: of the tracker; CoTracker3's are searched if not given.
        points: in each mask that the second pass follows beside its centre.
        most_apart: mean distance between forward and backward, as a share of the diagonal.
        least_seen: share of the frames in which an entity must be followed.
        short_side: pixels of the frames that are followed; larger ones are made smaller.
        gpus: share of a GPU that a worker takes, for CoTracker3 and RAFT where there is one.
    """

    tracker: str = "auto"
    weights: str | None = None
    points: Annotated[int, Within(0, 64)] = 8
    most_apart: Annotated[float, Within(0, 1)] = 0.03
    least_seen: Annotated[float, Within(0, 1)] = 0.6
    short_side: Annotated[int, Within(32, 4096)] = 480
    gpus: Annotated[float, Within(0, 8)] = 0.25

    def chosen(self) -> tuple[str, Path | None]:
        """The tracker's name and its weights."""
        weights = None if self.weights is None else Path(self.weights)
        if self.tracker not in ("auto", "cotracker3"):
            return self.tracker, weights
        found = weights or next(
            (file for file in (_WEIGHTS, _HOME.expanduser()) if file.is_file()), None
        )
        if self.tracker == "cotracker3" or weights is not None:
            return "cotracker3", found
        here = found is not None and find_spec("cotracker") is not None
        return ("cotracker3", found) if here else ("lucas_kanade", None)


class Tracks:
    """See the module. Scores: `track_error` and `track_seen`, of the worst entity that is kept."""

    name = "tracks"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tracker: Tracker | None = None

    @property
    def resources(self) -> Resources:
        """See `Stage`."""
        heavy = self.config.chosen()[0] in ("cotracker3", "raft") and on_gpu("auto")
        return Resources(1, self.config.gpus if heavy else 0, 2 << 30)

    def needs(self) -> Sequence[str]:
        """See `Stage`."""
        name, weights = self.config.chosen()
        if name == "cotracker3" and (find_spec("cotracker") is None or weights is None):
            where = (
                f"the package searched as cotracker and its weights in {_WEIGHTS} and {_HOME}, as "
                "the setting tracks.weights is not given; published at "
                "github.com/facebookresearch/co-tracker and huggingface.co/facebook/cotracker3, "
                "and never fetched for you (tracks.tracker: lucas_kanade needs no weights)"
            )
            return [Need("CoTracker3", where, "102 MB", "CC-BY-NC-4.0").sentence(self.name)]
        needs = []
        if find_spec("cv2") is None:
            where = "pip install 'comfyui-tora2[curation]'"
            needs.append(Need("OpenCV", where, "60 MB", "Apache-2.0").sentence(self.name))
        elif name != "cotracker3":
            try:
                load(name, weights)
            except (ValueError, OSError) as error:
                needs.append(f"{self.name}: {error}")
        return needs

    def open(self) -> None:
        """See `Stage`."""
        self.tracker = load(*self.config.chosen())

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """See `Stage`."""
        assert self.tracker is not None
        frames = candidate.frames(short_side=self.config.short_side)
        size = frames.shape[1:3]
        masks = [_scaled(entity.masks, size, len(frames)) for entity in candidate.entities]
        usable = [entity for entity, own in zip(candidate.entities, masks, strict=True) if own]
        found = two_passes(frames, [own for own in masks if own], self.tracker, self.config.points)
        kept: list[Entity] = []
        worst = (0.0, 1.0)
        faults: list[str] = []
        for entity, one in zip(usable, found, strict=True):
            fault = self._fault(one)
            if one is None or fault is not None:
                faults.append(f"{entity.word}: {fault}")
                continue
            kept.append(replace(entity, tracks=(one.track,)))
            worst = max(worst[0], one.apart), min(worst[1], one.seen)
        if not kept:
            reason = "; ".join(faults[:3]) or "it has no entities"
            return [candidate.drop(self.name, f"no entity can be followed ({reason})")]
        candidate = candidate.with_scores(track_error=worst[0], track_seen=worst[1])
        return [replace(candidate, entities=tuple(kept))]

    def _fault(self, one: Tracked | None) -> str | None:
        if one is None:
            return "its centre cannot be followed from mask to mask"
        if one.apart > self.config.most_apart:
            most = self.config.most_apart
            return f"forward and backward are {one.apart:.1%} apart, expected {most:.1%} at most"
        if one.seen < self.config.least_seen:
            least = self.config.least_seen
            return f"it is followed in {one.seen:.0%} of the frames, expected {least:.0%} at least"
        return None


def _scaled(masks: Mapping[int, Mask], size: tuple[int, int], count: int) -> dict[int, Mask]:
    """Masks at another size, by the pixel under each new pixel's centre; without empty ones."""
    result = {}
    for place, mask in masks.items():
        rows = ((np.arange(size[0]) + 0.5) * mask.shape[0] / size[0]).astype(int)
        columns = ((np.arange(size[1]) + 0.5) * mask.shape[1] / size[1]).astype(int)
        scaled = mask[rows[:, None], columns]
        if 0 <= place < count and scaled.any():
            result[place] = scaled
    return result


def build(config: Config) -> Tracks:
    """The stage."""
    return Tracks(config)
