"""What a folder holds of ours: bounded, from headers alone, and never stopped by a bad file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..fields import load_json_file, plain
from . import tasks
from .recognition import Found, examine_files, units
from .walking import INDEX, Limits, walk

MAX_INDEX = 64 * 1024
MAX_SENTENCE = 4096
"""Characters of a sentence, which may name two paths."""
PARTS = ("transformer", "vae", "text_encoder", "tokenizer")


@dataclass(frozen=True)
class Scan:
    """What was found in one folder.

    Attributes:
        folder: what was looked at.
        found: what holds something of ours.
        unreadable: damaged files, a sentence each.
        passed: how many weight files hold nothing of ours.
        notes: what was left out, a sentence each.
    """

    folder: str
    found: tuple[Found, ...]
    unreadable: tuple[str, ...] = ()
    passed: int = 0
    notes: tuple[str, ...] = ()


def scan(folders: Iterable[Path], limits: Limits | None = None) -> tuple[Scan, ...]:
    """Look through folders for weights; a file is reported once, where it is found first.

    Only headers are read. A file of ours that is damaged gives a sentence, as does any damaged
    safetensors file.

    Args:
        folders: what to look through; one that does not exist gives a note.
        limits: how much of each is looked at.
    """
    seen: set[tuple[int, int]] = set()
    return tuple(_scan(folder, limits or Limits(), seen) for folder in folders)


def _scan(folder: Path, limits: Limits, seen: set[tuple[int, int]]) -> Scan:
    if not folder.is_dir():
        return Scan(str(folder), (), notes=("there is no such folder yet",))
    walked = walk(folder, limits, seen)
    found: list[Found] = []
    unreadable: list[str] = []
    passed = 0
    for pipeline in walked.pipelines:
        try:
            known = _pipeline(pipeline)
            found += [] if known is None else [known]
        except (ValueError, OSError) as error:
            unreadable.append(_sentence(error))
    for files in units(walked.files):
        try:
            known = examine_files(files)
        except (ValueError, OSError) as error:
            unreadable.append(_sentence(error))
            continue
        if known is None:
            passed += len(files)
        else:
            found.append(known)
    return Scan(str(folder), tuple(found), tuple(unreadable), passed, walked.notes)


def _pipeline(folder: Path) -> Found | None:
    """A folder that `Tora2Pipeline.from_pretrained` takes, and which of its parts are there."""
    index = folder / INDEX
    content = load_json_file(index, MAX_INDEX)
    name = content.get("_class_name") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name.startswith(("CogVideoX", "Tora")):
        return None
    kind = plain(name)
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        note = f"for the library it lacks {', '.join(f'{part}/' for part in missing)}"
        return Found(str(folder), 0, (f"a model folder ({kind})",), notes=(note,))
    return Found(str(folder), 0, (f"a model folder ({kind})",), roles=(tasks.PIPELINE,))


def _sentence(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return plain(f"{error.filename}: {error.strerror.lower()}", MAX_SENTENCE)
    return plain(" ".join(str(error).split()), MAX_SENTENCE)
