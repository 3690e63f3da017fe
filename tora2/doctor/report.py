"""The report: facts in, sections of sentences out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..checkpoints.sources import BUNDLED, EVERYTHING, NO_TORA2, Source, terms
from ..fields import plain
from .memory import CARDS, NEEDS, Verdict, judge, preset, text_encoder
from .recognition import Found
from .scanning import Scan
from .system import Device, Package
from .tasks import BUNDLED as BUNDLED_ROLE
from .tasks import COMFYUI, LIBRARY, ROLES, Readiness, readiness
from .walking import MAX_PATH


@dataclass(frozen=True)
class Facts:
    """What is known of a computer.

    Attributes:
        system: versions and places, a sentence each.
        packages: those that matter.
        device: what the models compute on.
        scans: what was found, a folder each.
        hosts: what the tasks are judged for, of `ComfyUI` and `the library`.
        bundled: whether the bundled model is there.
    """

    system: tuple[str, ...]
    packages: tuple[Package, ...]
    device: Device
    scans: tuple[Scan, ...] = ()
    hosts: tuple[str, ...] = (COMFYUI, LIBRARY)
    bundled: bool = field(default_factory=lambda: (BUNDLED / "model_index.json").is_file())


@dataclass(frozen=True)
class Section:
    """A title and what stands under it, a sentence each."""

    title: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n- ".join((self.title, *self.lines))


@dataclass(frozen=True)
class Report:
    """What a computer can do with Tora2.

    Attributes:
        facts: what it was made from.
        tasks: which of them are ready, and what the others lack.
        memory: what sampling takes beside what is free.
        sources: where the published weights are; empty if that is not asked for.
    """

    facts: Facts
    tasks: tuple[Readiness, ...]
    memory: tuple[Verdict, ...]
    sources: tuple[Source, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys of `ROLES` that some task lacks."""
        return tuple(dict.fromkeys(role for task in self.tasks for role in task.missing))

    @property
    def sections(self) -> tuple[Section, ...]:
        facts = self.facts
        sections = [
            Section("This system", (*facts.system, str(facts.device))),
            Section("Packages", tuple(map(str, facts.packages))),
            *(Section(f"Weights in {scan.folder}", _found(scan)) for scan in facts.scans),
            Section("What can be made", tuple(map(str, self.tasks))),
            Section("Memory", (*map(str, self.memory), text_encoder())),
            Section(
                "Presets for cards, image to video with Tora (disk and memory are not the same)",
                tuple(str(preset(card)) for card in CARDS),
            ),
        ]
        if self.sources and self.missing:
            title = "What is missing, and where it is published (Tora2 downloads nothing)"
            sections.append(Section(title, (*_where(self.missing), *terms(EVERYTHING))))
        elif not self.sources:
            sections.append(Section("Tora2's own weights", (NO_TORA2,)))
        return tuple(sections)

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        given = asdict(self)
        facts = given.pop("facts")
        device = {**facts.pop("device"), "accelerated": self.facts.device.accelerated}
        tasks = [{**asdict(task), "ready": not task.missing} for task in self.tasks]
        missing = {role: {**asdict(ROLES[role])} for role in self.missing}
        return {**facts, "device": device, **given, "tasks": tasks, "missing": missing}

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.sections))


def examine(facts: Facts, sources: bool = True) -> Report:
    """Judge the facts.

    Args:
        facts: of a computer.
        sources: say where the published weights are.
    """
    roles = {role for scan in facts.scans for found in scan.found for role in found.roles}
    roles |= {BUNDLED_ROLE} if facts.bundled else set()
    device = facts.device
    return Report(
        facts,
        readiness(roles, facts.hosts),
        tuple(judge(need, device.free, device.accelerated) for need in NEEDS),
        EVERYTHING if sources else (),
    )


def _found(scan: Scan) -> tuple[str, ...]:
    lines = [_line(found, Path(scan.folder)) for found in scan.found]
    lines += scan.unreadable
    if scan.passed:
        lines.append(f"weight files that are not Tora2's concern: {scan.passed:,}")
    return (*lines, *scan.notes) if lines or scan.notes else ("none",)


def _line(found: Found, folder: Path) -> str:
    path = Path(found.path)
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    size = f" ({found.bytes / 1e9:.2f} GB)" if found.bytes else ""
    enables = f"; enables {', '.join(found.enables)}" if found.enables else ""
    notes = "".join(f"; {note}" for note in found.notes)
    return f"{plain(str(name), MAX_PATH)}{size}: {', '.join(found.holds)}{enables}{notes}"


def _where(missing: Iterable[str]) -> tuple[str, ...]:
    """A line for every part, with its places below it."""
    parts = (ROLES[role] for role in missing)
    return tuple("\n  ".join((f"{part.words}:", *part.where)) for part in parts)
