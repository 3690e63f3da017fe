"""What a benchmark compares, and what was measured: the settings and the results of `suite`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ..data.spritebind.dataset import check_split
from ..fields import refuse
from ..scene import MAX_SEED
from ..settings import Within
from .cases import Case, words
from .scoring import KEYS, METRICS, Weights
from .sources import SOURCES
from .trackers import trackers

SPLITS = ("all", "people", "things")
_BY_ENTITY = {"subject": "subjects", "binding": "bound"}
_DIGITS = {"trajectory": 2, "dynamic": 2}
SPRITEBIND = "spritebind"
DRAWN = 32
"""Cases of SpriteBind, unless the settings say how many."""


@dataclass(frozen=True)
class Cases:
    """Where cases come from.

    Attributes:
        kind: `scenes`, `msrvtt`, `dreamvideo_omni` or `spritebind`.
        folder: of them; for scenes also one file; for SpriteBind the one that they are drawn into.
        only: names of the cases that are taken; all by default.
        most: how many are taken at most; all by default, and 32 of SpriteBind's.
        split, seed: of SpriteBind's; training used the seed 0.
    """

    kind: str
    folder: str
    only: tuple[str, ...] = ()
    most: Annotated[int, Within(1, 1_000_000)] | None = None
    split: str = "heldout"
    seed: Annotated[int, Within(0, 2**32 - 1)] = 1

    def __post_init__(self) -> None:
        _one_of("cases.kind", self.kind, (*SOURCES, SPRITEBIND))
        if self.kind == SPRITEBIND:
            check_split(self.split)


@dataclass(frozen=True)
class System:
    """Who makes the videos: exactly one of `videos` and `model` is given.

    Attributes:
        name: of the system, in every table.
        videos: a folder of finished videos, `<case>.mp4`.
        model: "tiny" or a folder; it generates what is not there yet.
        adapter: a file, for a model that has none of its own.
        steps, guidance, seed: of a model's sampling, in place of what scenes say.
    """

    name: str
    videos: str | None = None
    model: str | None = None
    adapter: str | None = None
    steps: Annotated[int, Within(1, 1000)] | None = None
    guidance: Annotated[float, Within(0, 50)] | None = None
    seed: Annotated[int, Within(0, MAX_SEED)] | None = None


@dataclass(frozen=True)
class SuiteConfig:
    """What to compare.

    Attributes:
        cases, systems: at least one each.
        output: folder of everything that is written.
        metrics: of `METRICS`.
        tracker, anchor: as in `Scorer`; by default lucas_kanade.
        weights: where the metrics' networks are.
    """

    cases: tuple[Cases, ...]
    systems: tuple[System, ...]
    output: str
    metrics: tuple[str, ...] = ("trajectory",)
    tracker: str = "lucas_kanade"
    anchor: str | None = None
    weights: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("cases", "systems", "metrics"):
            if not getattr(self, name):
                raise ValueError(f"key {name!r} is empty; expected at least one")
        for metric in self.metrics:
            _one_of("metrics", metric, METRICS)
        _one_of("tracker", self.tracker, trackers())
        if self.anchor is not None:
            _one_of("anchor", self.anchor, ("path", "thing"))
        for key in self.weights:
            _one_of("weights", key, Weights.__dataclass_fields__)
        names = [system.name for system in self.systems]
        for system in self.systems:
            if (system.videos is None) == (system.model is None):
                which = "neither" if system.model is None else "both"
                raise ValueError(
                    f"the system {system.name!r} has {which} videos and model; expected one of them"
                )
            if names.count(system.name) > 1 or not _plain(system.name):
                raise refuse(
                    "systems.name", system.name, "names of letters, digits, - and _, each once"
                )


@dataclass(frozen=True)
class Result:
    """What was measured of one system's video of one case.

    Attributes:
        system, case: their names.
        video: the file; None where there is none.
        figures: by the keys of JSON.
        notes: what could not be measured, in sentences.
    """

    system: str
    case: Case
    video: Path | None
    figures: dict[str, Any]
    notes: tuple[str, ...]


def kinds(case: Case) -> dict[str, str]:
    """`people` or `things` for every entity of a case."""
    people = {subject.id for subject in case.subjects if subject.kind == "human"}
    return {name: "people" if name in people else "things" for name in words(case)}


def of_split(result: Result, metric: str, split: str) -> float | None:
    """A result's figure as it counts in a split; None where it does not."""
    value = result.figures.get(KEYS[metric])
    if split == "all" or value is None:
        return value
    own = {name for name, kind in kinds(result.case).items() if kind == split}
    parts: list[float | None]
    if metric == "trajectory":
        found = result.figures["entities"]
        parts = [found[name]["trajectory_error"] for name in own if name in found]
    elif metric in _BY_ENTITY:
        parts = [v for name, v in result.figures[_BY_ENTITY[metric]].items() if name in own]
    else:
        parts = [value] if own else []
    known = [part for part in parts if part is not None]
    return sum(known) / len(known) if known else None


def written(metric: str, value: float | None) -> str:
    """A figure as tables have it."""
    return "–" if value is None else f"{value:.{_DIGITS.get(metric, 3)}f}"


def _plain(name: str) -> bool:
    return 0 < len(name) <= 64 and all(c.isalnum() or c in "-_" for c in name)


def _one_of(key: str, value: object, known: Any) -> None:
    if value not in known:
        raise ValueError(f"key {key!r} has {value!r}; expected one of {', '.join(known)}")
