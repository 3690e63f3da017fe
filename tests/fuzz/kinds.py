"""What is fuzzed: for each kind its generator, who reads what it makes, and what a whole one is."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import damaged_checkpoints
import damaged_folders
import damaged_settings
import hostile_entities
import hostile_paths
import hostile_pictures
from worker import Read, command

Case = tuple[str, "bytes | dict[str, bytes | None]"]
"""What it is, and the content of its file, or of its files by name; None takes one away."""


@dataclass(frozen=True)
class Kind:
    """A kind of damaged input.

    Attributes:
        cases: (seed, count) to so many cases, always the same.
        readers: what reads the folder of a case.
        count: cases of the opt-in test; `few` of the default run, 0 where other tests have some.
        name: of the file, where a case is one.
        prepare: makes a whole folder, in which each case changes something.
        mib: of memory that a case may take.
        disk: bytes that a file may have, where nothing must be made of what is right.
    """

    cases: Callable[[int, int], Iterator[Case]]
    readers: tuple[tuple[str, Read], ...]
    count: int
    few: int = 0
    name: str = "file"
    prepare: Callable[[Path], None] | None = None
    disk: int | None = None
    mib: int = 2048


def _document(place: Path) -> None:
    from tora2.fields import load_json
    from tora2.trajectory import parse, sample
    from tora2.trajectory.document import to_dict

    document = parse(load_json((place / "a.json").read_bytes(), "a document", 4 << 20))
    assert parse(to_dict(document)) == document
    sample(document)


def _paths(place: Path) -> None:
    from tora2.trajectory import formats, sample

    sample(formats.load(place / "a.txt"))


def _convert(to: str) -> Read:
    def read(place: Path) -> None:
        command("trajectories", "convert", str(place / "a.txt"), str(place / f"out.{to}"))

    return read


def _scene(place: Path) -> None:
    from tora2.encoders.pictures import load_picture
    from tora2.scene import load_scene

    for entity in load_scene(place / "scene.json").entities:
        for image in entity.images:
            assert image.is_relative_to(place.resolve())
            load_picture(image)


def _generate(place: Path) -> None:
    """Up to the video, for which there is no folder."""
    command(
        "generate",
        str(place / "scene.json"),
        "--output",
        str(place / "none" / "out.mp4"),
        good="cannot write",
    )


def _picture(place: Path) -> None:
    from tora2.encoders.pictures import MAX_SIDE, load_picture

    assert max(load_picture(place / "a.png").size) <= MAX_SIDE


def _entity(place: Path) -> None:
    from tora2.encoders.entity_file import load_entity

    entity = load_entity(place / "a.safetensors")
    assert 0 <= entity.strength <= 10
    assert all(x.semantic.isfinite().all() and x.prior.numel() for x in entity.pictures)


def _lora(place: Path) -> None:
    from tora2.customization import read_lora

    lora = read_lora(place / "a.safetensors")
    assert all(up.shape[1] == down.shape[0] for down, up in lora.layers.values())


def _loras(seed: int, count: int) -> Iterator[Case]:
    import hostile_loras

    yield from hostile_loras.cases(seed, count)


def _network(place: Path) -> None:
    import torch

    from tora2.encoders.onnx import OnnxPrior

    image = torch.zeros(3, 20, 10, dtype=torch.uint8)
    OnnxPrior(place / "a.onnx", "cpu").encode(image, (0, 0, 9, 9))


def _networks(seed: int, count: int) -> Iterator[Case]:
    import hostile_onnx

    yield from hostile_onnx.cases(seed, count)


def _heavy(seed: int, count: int) -> Iterator[Case]:
    return islice(damaged_checkpoints.heavy(), count)


def _checkpoint(read: str) -> Read:
    def task(place: Path) -> None:
        from tora2 import checkpoints

        file = next(p for p in sorted(place.rglob("*")) if p.is_file())
        for path in (place, file):
            made = getattr(checkpoints, read)(path)
            if read == "inspect":
                lines = str(made).splitlines()
                assert all(x.isprintable() and len(x) < 5000 for x in lines), lines

    return task


def _doctor(place: Path) -> None:
    assert not damaged_checkpoints.attempt(damaged_checkpoints.doctor, str(place))


def _model(place: Path) -> None:
    from tora2.pipeline import Tora2Pipeline

    for folder in sorted(p for p in place.iterdir() if p.is_dir()):
        if (folder / damaged_folders.MARK).exists():
            Tora2Pipeline.from_pretrained(folder, device="cpu")


def _models(place: Path) -> None:
    import small

    from tora2.model_folder import TINY

    place.mkdir()
    shutil.copytree(TINY, place / "bundled", ignore=shutil.ignore_patterns("*.md"))
    small.cogvideox_folder(place / "cogvideox")
    for folder in (place / "bundled", place / "cogvideox"):
        marker = f"open({str(place.parent.resolve() / 'ran')!r}, 'w').close()\nclass Evil: pass\n"
        for inner in (folder, *(p for p in folder.iterdir() if p.is_dir())):
            (inner / "evil.py").write_text(marker)


def _run(place: Path) -> None:
    from small_training import SMALL_TRAINING

    place.mkdir()
    (place / "c.yaml").write_text(SMALL_TRAINING.format(output="case/run"))
    command("train", str(place / "c.yaml"))


def _configured(place: Path) -> None:
    (file,) = (p for p in place.iterdir() if p.stem in damaged_settings.COMMANDS)
    command(damaged_settings.COMMANDS[file.stem], str(file), good="file too large")


def _resume(place: Path) -> None:
    command("train", str(place / "c.yaml"))


def _documents(seed: int, count: int) -> Iterator[Case]:
    for name, content in hostile_paths.documents(seed, count):
        yield name, {"a.json": json.dumps(content).encode()}


CANARIES = {
    "process": "os.system",
    "writes": "wrote",
    "reads": "touched outside/secret.json",
    "beside": "beside the room",
    "type": "TypeError",
    "lines": "not one printable line",
    "memory": "MiB",
    "dies": "ends the process with -9",
}
"""Readers that misbehave, and what is said of each."""


def _canary(place: Path) -> None:
    match (place / "file").read_text():
        case "process":
            os.system("true")
        case "writes":
            (place.parents[2] / "written").open("w").close()
            (place.parents[2] / "written").unlink()
        case "reads":
            os.close(os.open(place.parents[1] / "outside" / "secret.json", os.O_RDONLY))
        case "beside":
            (place.parents[1] / "beside").mkdir(exist_ok=True)
            raise ValueError("no")
        case "type":
            (place.parents[1] / "beside").rmdir()
            raise TypeError("of no file")
        case "lines":
            raise ValueError("two\nlines")
        case "memory":
            bytes(bytearray(b"x") * (100 << 20))
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)


def _all(*names: str) -> tuple[tuple[str, Read], ...]:
    return tuple((name, globals()[f"_{name}"]) for name in names)


_CHECKPOINTS = (
    *((x, _checkpoint(x)) for x in ("load_adapter", "read_transformer", "inspect")),
    *_all("doctor"),
)

KINDS = {
    "documents": Kind(_documents, _all("document"), 4000),
    "path files": Kind(
        hostile_paths.cases,
        (*_all("paths"), *((f"convert to {x}", _convert(x)) for x in ("json", "npz", "csv"))),
        4000,
        name="a.txt",
    ),
    "scenes": Kind(damaged_settings.scenes, _all("scene", "generate"), 2000, 150),
    "pictures": Kind(hostile_pictures.cases, _all("picture"), 8000, name="a.png"),
    "entity files": Kind(hostile_entities.cases, _all("entity"), 4000, name="a.safetensors"),
    "loras": Kind(_loras, _all("lora"), 2000, name="a.safetensors"),
    "networks": Kind(_networks, _all("network"), 1000, name="a.onnx"),
    "checkpoints": Kind(damaged_checkpoints.cases, _CHECKPOINTS, 22_000, mib=300),
    "heavy checkpoints": Kind(_heavy, _CHECKPOINTS, 15, mib=300),
    "model folders": Kind(damaged_folders.models, _all("model"), 3000, prepare=_models),
    "configurations": Kind(damaged_settings.configurations, _all("configured"), 400, 60, disk=0),
    "canaries": Kind(
        lambda seed, count: ((name, name.encode()) for name in CANARIES), _all("canary"), 0, mib=50
    ),
    "run folders": Kind(damaged_folders.runs, _all("resume"), 100, prepare=_run),
}
