"""A stage of curation: what it needs, and what it makes of one candidate. One file each.

A module `stages/<name>.py` has the dataclass `Config`, read from the stage's section of the
settings, and `build(config)`. Stages from elsewhere are registered under a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from ..fields import refuse
from .candidate import Candidate

STAGES = (
    "decode",
    "shots",
    "resolution",
    "text",
    "aesthetic",
    "motion",
    "camera",
    "nouns",
    "masks",
    "tracks",
    "references",
)


@dataclass(frozen=True)
class Resources:
    """What one worker of a stage takes; `memory` in bytes, `gpus` may be a fraction."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 1 << 30


@dataclass(frozen=True)
class Need:
    """Something that a stage needs and that is not here, in words.

    Attributes:
        name: what it is.
        where: where it is searched here, and where it is published.
        size: of the download.
        licence: of it.
    """

    name: str
    where: str
    size: str
    licence: str

    def sentence(self, stage: str) -> str:
        """One sentence for who runs the stage."""
        return f"{stage} needs {self.name} ({self.size}, {self.licence}): {self.where}"


class Stage(Protocol):
    """One step; workers are copies of it in other processes, so it is pickled before `open`.

    Attributes:
        name: in the settings, the funnel and `dropped_by`.
        resources: of one worker.
    """

    @property
    def name(self) -> str: ...

    @property
    def resources(self) -> Resources: ...

    def needs(self) -> Sequence[str]:
        """A sentence for each thing that is absent, none when it can run; asked at the start."""
        ...

    def open(self) -> None:
        """Load what is heavy; called once in every worker, before the first candidate."""
        ...

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """What becomes of a candidate: itself with scores, several, or itself dropped.

        Raises:
            ValueError, OSError: become the reason for which the candidate is dropped.
        """
        ...


Build = Callable[[Any], Stage]

_registered: dict[str, tuple[type, Build]] = {}


def register(name: str, config: type, build: Build) -> None:
    """Make a stage known, in place of the one of that name if there is one.

    Args:
        name: one of `STAGES`, whose place in the order it takes.
        config: a dataclass whose fields all have defaults.
        build: makes the stage of such a `config`.
    """
    if name not in STAGES:
        raise refuse("stage", name, f"one of {', '.join(STAGES)}")
    _registered[name] = (config, build)


def registered(name: str) -> tuple[type, Build]:
    """The configuration and the factory of a stage.

    Raises:
        ValueError: if there is no such stage, or it lacks a package.
    """
    if name not in STAGES:
        raise refuse("stage", name, f"one of {', '.join(STAGES)}")
    if name not in _registered:
        try:
            module = import_module(f".stages.{name}", __package__)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"the stage {name} needs {error.name}: pip install 'comfyui-tora2[curation]'"
            ) from None
        _registered[name] = (module.Config, module.build)
    return _registered[name]
