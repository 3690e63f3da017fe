"""What can be made, which parts each task takes, and where the parts are published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..checkpoints import sources

BUNDLED = "bundled"
TEXT_TO_VIDEO = "text-to-video transformer"
IMAGE_TO_VIDEO = "image-to-video transformer"
MOTION = "motion parts"
APPEARANCE = "Tora2 adapter"
VAE = "VAE"
TEXT_ENCODER = "text encoder"
SEMANTIC = "semantic encoder"
IDENTITY = "identity encoder"
PIPELINE = "pipeline folder"

COMFYUI, LIBRARY = "ComfyUI", "the library"


@dataclass(frozen=True)
class Role:
    """A part that a task takes.

    Attributes:
        words: what it is.
        where: where it is published, with size and licence.
    """

    words: str
    where: tuple[str, ...]


def _published(*given: sources.Source) -> tuple[str, ...]:
    return tuple(map(str, given))


def _encoders(*parts: str) -> tuple[str, ...]:
    try:
        from ..encoders.registry import entries
    except ModuleNotFoundError as error:  # the doctor is there to say that it is missing
        return (f"which there are cannot be told without the Python package {error.name}",)
    return tuple(f"{one.files}. {one.licence}" for part in parts for one in entries(part))


ROLES = {
    BUNDLED: Role("the bundled model", ("it comes with Tora2: install that again",)),
    TEXT_TO_VIDEO: Role(
        "a CogVideoX-5B text-to-video transformer",
        _published(sources.BASE, sources.TORA_TRANSFORMER, sources.TORA_SAT),
    ),
    IMAGE_TO_VIDEO: Role(
        "a CogVideoX-5B image-to-video transformer",
        _published(sources.BASE_I2V, sources.TORA_TRANSFORMER_I2V, sources.TORA_SAT),
    ),
    MOTION: Role("Tora's motion parts", _published(sources.TORA_SPLIT, sources.TORA_SAT)),
    APPEARANCE: Role("a Tora2 adapter for CogVideoX-5B", (sources.NO_TORA2,)),
    VAE: Role("a CogVideoX VAE", _published(sources.VAE_FILE, sources.VAE)),
    TEXT_ENCODER: Role("a T5-XXL text encoder in one file", _published(sources.TEXT_ENCODER_FILE)),
    SEMANTIC: Role("an encoder for what a picture shows", _encoders("semantic")),
    IDENTITY: Role("an encoder for faces or things", _encoders("face", "object")),
    PIPELINE: Role(
        "a folder with CogVideoX-5B in diffusers' layout",
        _published(sources.TORA_DIFFUSERS, sources.BASE, sources.BASE_I2V),
    ),
}


@dataclass(frozen=True)
class Task:
    """Something that can be made.

    Attributes:
        name: what is made.
        host: where.
        roles: what it takes; keys of `ROLES`.
    """

    name: str
    host: str
    roles: tuple[str, ...]


_SHARED = (TEXT_ENCODER, VAE)
TASKS = (
    Task("shapes at 96x96 with the bundled model", COMFYUI, (BUNDLED,)),
    Task("paths, text to video", COMFYUI, (TEXT_TO_VIDEO, MOTION, *_SHARED)),
    Task("paths, image to video", COMFYUI, (IMAGE_TO_VIDEO, MOTION, *_SHARED)),
    Task(
        "entities like their pictures, on their paths",
        COMFYUI,
        (TEXT_TO_VIDEO, APPEARANCE, *_SHARED, SEMANTIC, IDENTITY),
    ),
    Task("shapes at 96x96 with the bundled model", LIBRARY, (BUNDLED,)),
    Task("paths", LIBRARY, (PIPELINE, MOTION)),
    Task(
        "entities like their pictures, on their paths",
        LIBRARY,
        (PIPELINE, APPEARANCE, SEMANTIC, IDENTITY),
    ),
)


@dataclass(frozen=True)
class Readiness:
    """Whether a task's parts are there.

    Attributes:
        task, host: as in `Task`.
        missing: keys of `ROLES` that nothing fills.
    """

    task: str
    host: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        lacks = "; ".join(ROLES[role].words for role in self.missing)
        return f"{self.task}, in {self.host}: " + (f"needs {lacks}" if lacks else "ready")


def readiness(roles: Iterable[str], hosts: Iterable[str]) -> tuple[Readiness, ...]:
    """Every task of some hosts, with what it lacks.

    Args:
        roles: keys of `ROLES` that are filled.
        hosts: of `COMFYUI`, `LIBRARY`.
    """
    there, wanted = set(roles), set(hosts)
    return tuple(
        Readiness(task.name, task.host, tuple(r for r in task.roles if r not in there))
        for task in TASKS
        if task.host in wanted
    )
