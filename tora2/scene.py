"""The scene: what to generate, as one JSON file with its pictures beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .fields import child, choice, integer, load_json, mapping, number, refuse, sequence, show, text
from .files import regular_file
from .trajectory import TrajectoryDocument, parse
from .trajectory.flow import FLOW_MODES
from .wording import spans_of

VERSION = 1
MAX_FILE = 16 * 1024 * 1024
MAX_PROMPT = 10_000
MAX_ENTITIES = 16
MAX_IMAGES = 16
MAX_STRENGTH = 10.0
MAX_SEED = 2**63 - 1
KINDS = ("auto", "human", "object")
SCHEDULERS = ("dpm", "ddim")
UNCONDITIONAL = ("text", "zeros")
FLOW_LATENTS = ("mean", "drawn")

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Window:
    """Strength of a condition, and the part of the sampling, in [0, 1], in which it acts."""

    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0

    def at(self, progress: float) -> float:
        """Strength at a progress in [0, 1); 0 outside start..end."""
        return self.strength if self.start <= progress <= self.end else 0.0


@dataclass(frozen=True)
class Flow:
    """How paths become the motion latent.

    Attributes:
        mode: `subpixel`, or `tora` for upstream's whole pixels.
        latents: the `mean` of the autoencoder's posterior, or `drawn` from it with the scene's seed
            before the noise, as Tora's diffusers code does.
    """

    mode: str = "subpixel"
    latents: str = "mean"


@dataclass(frozen=True)
class Sampling:
    """How the video is sampled; the defaults are the paper's.

    `unconditional` is what guidance leads away from: the negative prompt's `text`, as in diffusers,
    or `zeros` in place of its embedding, as in SAT.
    """

    steps: int = 50
    guidance: float = 6.0
    seed: int = 0
    scheduler: str = "dpm"
    dynamic_guidance: bool = False
    motion: Window = field(default_factory=Window)
    appearance: Window = field(default_factory=Window)
    unconditional: str = "text"
    flow: Flow = field(default_factory=Flow)


@dataclass(frozen=True)
class SceneEntity:
    """An entity: its word in the prompt, its reference pictures, if any, and their strength.

    `kind` says which of the encoders' branches reads the pictures; `auto` looks for a face.
    """

    id: str
    word: str
    kind: str = "auto"
    images: tuple[Path, ...] = ()
    strength: float = 1.0


@dataclass(frozen=True)
class Scene:
    """A prompt, the entities in it, and the paths they take."""

    prompt: str
    trajectories: TrajectoryDocument
    entities: tuple[SceneEntity, ...] = ()
    negative_prompt: str = ""
    sampling: Sampling = field(default_factory=Sampling)


def load_scene(path: str | os.PathLike[str]) -> Scene:
    """Read a scene file; its image paths are relative to its folder.

    Raises:
        OSError: if the file cannot be read.
        ValueError: with one sentence that names the file, the value and what was expected.
    """
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"{file} is a folder, expected a scene file such as {file / 'scene.json'}")
    with regular_file(file).open("rb") as stream:
        content = stream.read(MAX_FILE + 1)
    try:
        return parse_scene(load_json(content, "the scene", MAX_FILE), file.parent)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def parse_scene(value: object, folder: str | os.PathLike[str]) -> Scene:
    """Check a scene.

    Args:
        value: the scene as plain JSON values (its fields are those of `Scene`).
        folder: where the pictures are; nothing outside of it is read.

    Raises:
        ValueError: with one sentence that names the value and what was expected.
    """
    fields = mapping(
        value,
        "",
        ("version", "prompt", "trajectories"),
        ("negative_prompt", "entities", "sampling"),
    )
    version = fields["version"]
    if isinstance(version, bool) or version != VERSION:
        raise refuse("version", version, f"{VERSION}, the only version of scenes there is")
    prompt = text(fields["prompt"], "prompt", MAX_PROMPT, lines=True)
    root = Path(folder).resolve()
    entities = tuple(
        _entity(item, f"entities[{index}]", prompt, root)
        for index, item in enumerate(
            sequence(fields.get("entities", ()), "entities", 0, MAX_ENTITIES)
        )
    )
    known = [entity.id for entity in entities]
    for index, identifier in enumerate(known):
        if identifier in known[:index]:
            raise refuse(f"entities[{index}].id", identifier, "an id that occurs once")
    return Scene(
        prompt=prompt,
        negative_prompt=text(
            fields.get("negative_prompt", ""), "negative_prompt", MAX_PROMPT, low=0, lines=True
        ),
        entities=entities,
        trajectories=_trajectories(fields["trajectories"], known),
        sampling=_sampling(fields.get("sampling", {})),
    )


def occurs(word: str, prompt: str) -> bool:
    """Whether `word` stands in `prompt` as whole words, whatever the case and spacing."""
    return bool(spans_of(word, prompt))


def _entity(value: object, path: str, prompt: str, root: Path) -> SceneEntity:
    fields = mapping(value, path, ("id", "word"), ("kind", "images", "strength"))
    identifier = fields["id"]
    if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
        raise refuse(child(path, "id"), identifier, "1 to 64 letters, digits, _ or -")
    word = text(fields["word"], child(path, "word"), 200)
    if not occurs(word, prompt):
        raise refuse(child(path, "word"), word, f"a word of the prompt {show(prompt)}")
    images_path = child(path, "images")
    images = sequence(fields.get("images", ()), images_path, 0, MAX_IMAGES)
    return SceneEntity(
        id=identifier,
        word=word,
        kind=choice(fields.get("kind", "auto"), child(path, "kind"), KINDS),
        images=tuple(
            _image(item, f"{images_path}[{index}]", root) for index, item in enumerate(images)
        ),
        strength=number(fields.get("strength", 1.0), child(path, "strength"), 0, MAX_STRENGTH),
    )


def _image(value: object, path: str, root: Path) -> Path:
    name = text(value, path, 1000)
    inside = f"a path within the scene's folder {root}"
    if Path(name).is_absolute():
        raise refuse(path, name, inside)
    try:
        file = (root / name).resolve()
        if not file.is_relative_to(root):
            raise refuse(path, name, inside)
        if file.is_file():
            return file
    except (OSError, RuntimeError):  # a name that is too long, or links in a circle
        pass
    raise refuse(path, name, f"an image file within the scene's folder {root}")


def _trajectories(value: object, known: list[str]) -> TrajectoryDocument:
    if not isinstance(value, Mapping):
        raise refuse("trajectories", value, "a trajectory document")
    try:
        document = parse(value)
    except ValueError as error:
        raise ValueError(f"in trajectories, {error}") from error
    # An entity without tracks is an unused swatch of the editor, so only tracks must be resolved.
    for index, track in enumerate(document.tracks):
        if track.entity is not None and track.entity not in known:
            expected = f"the id of an entity of the scene ({', '.join(known) or 'it has none'})"
            raise refuse(f"trajectories.tracks[{index}].entity", track.entity, expected)
    return document


def _sampling(value: object) -> Sampling:
    names = (
        "steps",
        "guidance",
        "seed",
        "scheduler",
        "dynamic_guidance",
        "motion",
        "appearance",
        "unconditional",
        "flow",
    )
    fields = mapping(value, "sampling", (), names)
    default = Sampling()
    dynamic = fields.get("dynamic_guidance", default.dynamic_guidance)
    if not isinstance(dynamic, bool):
        raise refuse("sampling.dynamic_guidance", dynamic, "true or false")
    return Sampling(
        steps=integer(fields.get("steps", default.steps), "sampling.steps", 1, 1000),
        guidance=number(fields.get("guidance", default.guidance), "sampling.guidance", 0, 50),
        seed=integer(fields.get("seed", default.seed), "sampling.seed", 0, MAX_SEED),
        scheduler=choice(
            fields.get("scheduler", default.scheduler), "sampling.scheduler", SCHEDULERS
        ),
        dynamic_guidance=dynamic,
        motion=_window(fields.get("motion", {}), "sampling.motion"),
        appearance=_window(fields.get("appearance", {}), "sampling.appearance"),
        unconditional=choice(
            fields.get("unconditional", default.unconditional),
            "sampling.unconditional",
            UNCONDITIONAL,
        ),
        flow=_flow(fields.get("flow", {}), "sampling.flow"),
    )


def _flow(value: object, path: str) -> Flow:
    fields = mapping(value, path, (), ("mode", "latents"))
    return Flow(
        mode=choice(fields.get("mode", "subpixel"), child(path, "mode"), FLOW_MODES),
        latents=choice(fields.get("latents", "mean"), child(path, "latents"), FLOW_LATENTS),
    )


def _window(value: object, path: str) -> Window:
    fields = mapping(value, path, (), ("strength", "start", "end"))
    start = number(fields.get("start", 0.0), child(path, "start"), 0, 1)
    end = number(fields.get("end", 1.0), child(path, "end"), 0, 1)
    if start > end:
        raise refuse(child(path, "start"), start, f"a number up to {child(path, 'end')}, {end:g}")
    strength = number(fields.get("strength", 1.0), child(path, "strength"), 0, MAX_STRENGTH)
    return Window(strength, start, end)
