"""A plan in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .cards import GIB
from .memory import KINDS, Memory
from .plan import Plan
from .stages import StagePlan

_TERA = 1e12


def report(plan: Plan) -> str:
    """The plan as text of several lines."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    cards = plan.cards
    yield (
        f"{plan.config} on {cards.count} x {cards.memory:g} GiB, {cards.tflops:g} T operations a "
        f"second at {100 * cards.utilisation:g} %"
    )
    for note in plan.notes:
        yield f"  {note}"
    for stage, before in zip(plan.stages, (None, *plan.stages), strict=False):
        yield from _stage(stage, before)
    yield ""
    yield f"time: {_hours(plan.hours)} in all"
    total = sum(plan.clip.values())
    if total:
        yield _disk(plan, total)
    yield ""
    worst = plan.worst.memory
    words = "fits" if plan.fits else "does not fit"
    yield (
        f"{words}: {_gib(worst.peak)} of {_gib(cards.usable)} that tensors may take "
        f"({100 * cards.share:g} % of the GPU), in {worst.worst}"
    )
    for one in plan.advice:
        yield f"  with {one.words}: {_gib(one.bytes)}, {'fits' if one.fits else 'does not fit'}"


def _disk(plan: Plan, total: int) -> str:
    kinds = ", ".join(f"{name} {_mib(size)}" for name, size in plan.clip.items() if size)
    whole = f"{_gib(total * plan.clips)} for {plan.clips} clips"
    return f"disk: {_mib(total)} a clip ({kinds}), {whole}"


def _stage(stage: StagePlan, before: StagePlan | None) -> Iterator[str]:
    measured = stage.measured
    yield ""
    yield f"stage {measured.name}, {measured.steps} steps, {measured.clips} clips a GPU at once"
    if before is not None and (before.memory, before.operations, before.measured.weights) == (
        stage.memory,
        stage.operations,
        measured.weights,
    ):
        yield f"  as stage {before.measured.name}; {_hours(stage.hours)} for {measured.steps} steps"
        return
    yield "  parameters, millions: frozen, trained"
    parts = measured.weights.parts
    for name, (frozen, trained) in parts.items():
        yield f"    {name:<18}{frozen / 1e6:10.1f}{trained / 1e6:10.1f}"
    frozen, trained = (sum(part[i] for part in parts.values()) for i in (0, 1))
    yield f"    {'together':<18}{frozen / 1e6:10.1f}{trained / 1e6:10.1f}"
    yield from _memory(stage.memory)
    yield "  operations of a batch"
    for name, operations in measured.operations.items():
        yield f"    {name:<18}{operations / _TERA:10.2f} T"
    total = sum(measured.operations.values())
    clip = total / _TERA / measured.clips
    yield f"    {'together':<18}{total / _TERA:10.2f} T, {clip:.2f} T a clip"
    yield (
        f"  a step: {stage.operations / _TERA:.2f} T on each GPU; "
        f"{_hours(stage.hours)} for {measured.steps} steps"
    )


def _memory(held: Memory) -> Iterator[str]:
    yield "  memory of a GPU, GiB, at its worst in"
    names = sorted(held.moments, key=held.at, reverse=True)
    columns: list[Mapping[str, int]] = [held.moments[name] for name in names]
    for place, name in enumerate(names):
        yield f"    [{place + 1}] {name}"
    yield f"    {'':<18}" + "".join(f"{f'[{i + 1}]':>8}" for i in range(len(names)))
    for kind in KINDS:
        sizes = [column.get(kind, 0) for column in columns]
        if any(size > 0 for size in sizes):
            yield f"    {kind:<18}" + "".join(f"{size / GIB:8.2f}" for size in sizes)
    yield f"    {'together':<18}" + "".join(f"{held.at(name) / GIB:8.2f}" for name in names)


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else _mib(size)


def _mib(size: float) -> str:
    return f"{size / 2**20:.2f} MiB"


def _hours(hours: float) -> str:
    if hours >= 48:
        return f"{hours:.0f} hours ({hours / 24:.1f} days)"
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
