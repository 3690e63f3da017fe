"""The settings of a run: a section for each stage, literal to the paper where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ..fields import refuse
from ..settings import Within, read, read_yaml
from .stage import STAGES, Stage, registered


@dataclass(frozen=True)
class RunConfig:
    """What is not of a stage.

    Attributes:
        workers: processes that work at once; 0 for one a core.
        address: of a Ray cluster, for the engine ray.
        shard_mb: size of a shard of clips, in millions of bytes.
        failures: share of the candidates (of at least 100) over which a stage may fail in a way
            that nobody has foreseen, before the run stops.
        examples: kept and dropped candidates that the report shows of each stage.
    """

    workers: Annotated[int, Within(0, 4096)] = 0
    address: str | None = None
    shard_mb: Annotated[int, Within(1, 100_000)] = 1000
    failures: Annotated[float, Within(0, 1)] = 0.05
    examples: Annotated[int, Within(0, 100)] = 6


@dataclass(frozen=True)
class Settings:
    """A run's settings.

    Attributes:
        run: what is not of a stage.
        sections: the configuration of each stage that the file names.
    """

    run: RunConfig = RunConfig()
    sections: Mapping[str, Any] = field(default_factory=dict)

    def config(self, stage: str) -> Any:
        """The configuration of a stage."""
        return self.sections[stage] if stage in self.sections else registered(stage)[0]()

    def build(self, stages: Sequence[str]) -> list[Stage]:
        """The stages of these names."""
        return [registered(name)[1](self.config(name)) for name in stages]

    def asked(self, stages: Sequence[str]) -> dict[str, Any]:
        """What a run does, as plain values: the same for two runs that make the same clips."""
        return {name: asdict(self.config(name)) for name in stages}


def load_settings(path: Path | str | None) -> Settings:
    """Read a YAML file of settings; none is the paper's.

    Raises:
        ValueError: names the file and the key that is unknown or whose value cannot be taken.
        OSError: if it cannot be read.
    """
    if path is None:
        return Settings()
    values = read_yaml(path)
    try:
        return read_settings({} if values is None else values)
    except ValueError as error:
        raise ValueError(f"configuration {str(path)!r}: {error}") from None


def read_settings(values: Any) -> Settings:
    """Settings from plain values.

    Raises:
        ValueError: names the key.
    """
    if not isinstance(values, Mapping):
        raise refuse("the file", values, "a mapping")
    known = [*STAGES, *RunConfig.__dataclass_fields__]
    for key in values:
        if key not in known:
            raise refuse("key", key, f"one of {', '.join(known)}")
    sections: dict[str, Any] = {
        name: read(registered(name)[0], section or {}, f"{name}.")
        for name, section in values.items()
        if name in STAGES
    }
    run = {name: value for name, value in values.items() if name not in STAGES}
    return Settings(read(RunConfig, run), sections)


def chosen(names: str | None) -> list[str]:
    """The stages of a list with commas, in their order; all where there is none.

    Raises:
        ValueError: if one is unknown or named twice.
    """
    if names is None:
        return list(STAGES)
    found = [name.strip() for name in names.split(",")]
    for name in found:
        if name not in STAGES:
            raise refuse("--stages", name, f"some of {', '.join(STAGES)}")
        if found.count(name) > 1:
            raise refuse("--stages", names, f"{name} once")
    return [name for name in STAGES if name in found]
