"""Finds the entities: masks of every noun in three frames, without the large, small or fragmented.

Section 3.3: frames "from the beginning, middle, and end", of which LISA segments each noun. SAM 3
takes its place, or Grounding DINO with SAM 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Annotated

import numpy as np

from ...settings import Within
from ..candidate import Candidate, Entity, Mask, Noun
from ..moments import ENTITY, moments
from ..pretrained import on_gpu
from ..segmenters import Instances, Setup
from ..segmenters import build as build_segmenter
from ..shapes import Limits, fault, overlap
from ..stage import Need, Resources

Share = Annotated[float, Within(0, 1)]


@dataclass(frozen=True)
class Config:
    """The section `masks` of the settings.

    Attributes:
        segmenter: `sam3`, `grounded_sam2` or one that was registered.
        model: folder of SAM; searched if not given.
        detector: folder of Grounding DINO; searched if not given.
        confidence: least score of what a word finds.
        smallest, largest: share of the frame; 0.1 in ConceptMaster, where entities are fewer.
        whole: share of a mask that its largest piece has at least.
        most_parts: pieces of at least `part` of a mask that it may have.
        part: share of a mask from which a piece counts.
        least_frames: of the three, in which an entity must be.
        most_overlap: intersection over union, in most frames, above which two words name one
            thing; the surer of them stays.
        most_entities: of a clip; the surest stay.
        device: `auto`, `cpu` or a GPU such as `cuda`.
        gpus: share of a GPU that a worker takes, where it runs on one.
    """

    segmenter: str = "sam3"
    model: str | None = None
    detector: str | None = None
    confidence: Share = 0.3
    smallest: Share = 0.02
    largest: Share = 0.9
    whole: Share = 0.7
    most_parts: Annotated[int, Within(1, 1000)] = 5
    part: Share = 0.01
    least_frames: Annotated[int, Within(1, 3)] = 2
    most_overlap: Share = 0.7
    most_entities: Annotated[int, Within(1, 64)] = 8
    device: str = "auto"
    gpus: Annotated[float, Within(0, 8)] = 0.25


@dataclass(frozen=True, eq=False)
class _Found:
    noun: Noun
    masks: dict[int, Mask]
    score: float


class Masks:
    """See the module. Score: `entities`, how many were found."""

    name = "masks"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.limits = Limits(
            config.smallest, config.largest, config.whole, config.most_parts, config.part
        )
        setup = Setup(config.model, config.detector, config.confidence, config.device)
        self.segmenter = build_segmenter(config.segmenter, setup)

    @property
    def resources(self) -> Resources:
        """See `Stage`."""
        gpus = self.config.gpus if on_gpu(self.config.device) else 0
        return Resources(1, gpus, self.segmenter.memory())

    def needs(self) -> Sequence[str]:
        """See `Stage`."""
        needs = list(self.segmenter.needs())
        if find_spec("cv2") is None:
            needs.append(
                Need("OpenCV", "pip install 'comfyui-tora2[curation]'", "60 MB", "Apache-2.0")
            )
        return [need.sentence(self.name) for need in needs]

    def open(self) -> None:
        """See `Stage`."""
        self.segmenter.open()

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """See `Stage`."""
        places = moments(candidate.frame_count, ENTITY)
        frames = candidate.frames(places)
        found: list[_Found] = []
        faults: list[str] = []
        for noun in candidate.nouns:
            instances = self.segmenter.segment(frames, noun.word)
            masks, score, fault_ = self._chosen(dict(zip(places, instances, strict=True)))
            if len(masks) < min(self.config.least_frames, len(places)):
                faults.append(f"{noun.word}: {fault_ or 'it is not found'}")
            else:
                found.append(_Found(noun, masks, score))
        kept = self._distinct(found)
        if not kept:
            reason = "; ".join(faults[:3]) or "its caption names nothing"
            return [candidate.drop(self.name, f"no entity is left ({reason})")]
        entities = tuple(
            Entity(f"e{index}", one.noun.word, one.noun.span, one.noun.kind, one.masks)
            for index, one in enumerate(kept)
        )
        return [replace(candidate, entities=entities).with_scores(entities=float(len(entities)))]

    def _chosen(self, instances: dict[int, Instances]) -> tuple[dict[int, Mask], float, str | None]:
        """The surest mask of every frame that is taken, their mean score, and a fault if any."""
        masks: dict[int, Mask] = {}
        scores: list[float] = []
        reason = None
        for place, one in instances.items():
            if not len(one.scores):
                continue
            best = int(one.scores.argmax())
            mask = np.asarray(one.masks[best], bool)
            if (problem := fault(mask, self.limits)) is not None:
                reason = problem
                continue
            masks[place] = mask
            scores.append(float(one.scores[best]))
        return masks, sum(scores) / max(len(scores), 1), reason

    def _distinct(self, found: Sequence[_Found]) -> list[_Found]:
        """The surest of those that are one thing, as many as there may be, in their order."""
        kept: list[_Found] = []
        for one in sorted(found, key=lambda one: -one.score):
            if len(kept) < self.config.most_entities and not any(
                self._same(one, other) for other in kept
            ):
                kept.append(one)
        return [one for one in found if one in kept]

    def _same(self, one: _Found, other: _Found) -> bool:
        shared = one.masks.keys() & other.masks.keys()
        close = [
            overlap(one.masks[place], other.masks[place]) > self.config.most_overlap
            for place in shared
        ]
        return bool(close) and sum(close) * 2 > len(close)


def build(config: Config) -> Masks:
    """The stage."""
    return Masks(config)
