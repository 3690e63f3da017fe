"""Keeps clips whose caption names one or more single things (section 3.3), and notes the nouns.

A clip without a caption gets one from a vision language model where that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol

from ...settings import Within
from ..candidate import Candidate
from ..language.instruct import INSTRUCT, InstructNouns
from ..language.tagging import TaggedNouns, absent
from ..language.words import Named, Refused, choose
from ..pretrained import memory, on_gpu
from ..stage import Resources
from .captions import CAPTIONER, Captioner


@dataclass(frozen=True)
class Config:
    """The section `nouns` of the settings.

    Attributes:
        extractor: `instruct`, an instruction model as in the paper, or `spacy`.
        model: folder of the instruction model or of spaCy's pipeline; searched if not given.
        captioner: folder of a vision language model for clips without a caption, or `search`;
            without it such clips are dropped.
        most: nouns of a clip; the first ones of the caption are taken.
        device: `auto`, `cpu` or a GPU such as `cuda`.
        gpus: share of a GPU that a worker takes, where it runs on one.
    """

    extractor: Literal["instruct", "spacy"] = "instruct"
    model: str | None = None
    captioner: str | None = None
    most: Annotated[int, Within(1, 64)] = 8
    device: str = "auto"
    gpus: Annotated[float, Within(0, 8)] = 0.5


class Extractor(Protocol):
    """Finds the nouns of a caption."""

    def named(self, caption: str) -> tuple[Named, ...]:
        """Its nouns with their roles."""
        ...


class Nouns:
    """See the module. Score: `nouns`, how many there are."""

    name = "nouns"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.extractor: Extractor | None = None
        self.captioner: Captioner | None = None

    @property
    def resources(self) -> Resources:
        """See `Stage`."""
        config = self.config
        folders = []
        if config.extractor == "instruct":
            folders.append(INSTRUCT.find(config.model))
        if config.captioner is not None:
            folders.append(CAPTIONER.find(_searched(config.captioner)))
        gpus = config.gpus if folders and on_gpu(config.device) else 0
        return Resources(1, gpus, memory(*folders))

    def needs(self) -> Sequence[str]:
        """See `Stage`."""
        config = self.config
        if config.extractor == "spacy":
            needs = absent(config.model)
        else:
            needs = INSTRUCT.needs(config.model, "nouns.model")
        if config.captioner is not None:
            needs += CAPTIONER.needs(_searched(config.captioner), "nouns.captioner")
        return [need.sentence(self.name) for need in needs]

    def open(self) -> None:
        """See `Stage`."""
        config = self.config
        if config.extractor == "spacy":
            self.extractor = TaggedNouns(config.model)
        else:
            self.extractor = InstructNouns(config.model, config.device)
        if config.captioner is not None:
            self.captioner = Captioner(_searched(config.captioner), config.device)

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """See `Stage`."""
        assert self.extractor is not None
        caption = (candidate.caption or "").strip()
        if not caption and self.captioner is not None:
            caption = self.captioner.caption(candidate)
        if not caption:
            return [candidate.drop(self.name, "it has no caption, and nothing described it")]
        candidate = replace(candidate, caption=caption)
        try:
            nouns = choose(caption, self.extractor.named(caption))[: self.config.most]
        except Refused as refusal:
            return [candidate.drop(self.name, str(refusal))]
        return [replace(candidate, nouns=nouns).with_scores(nouns=float(len(nouns)))]


def _searched(captioner: str) -> str | None:
    return None if captioner == "search" else captioner


def build(config: Config) -> Nouns:
    """The stage."""
    return Nouns(config)
