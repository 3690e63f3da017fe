"""Which switches make a run fit that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..recipes.adapter.config import AdapterTraining
from .cards import Cards
from .loops import Sizes
from .measure import with_frames
from .stages import adapter_stages

_FEWER_FRAMES = (33, 17)
_MORE_GPUS = (2, 4, 8, 16)
_HELPS = 0.995
_GPUS = "gpus"


@dataclass(frozen=True)
class Advice:
    """A change to a run.

    Attributes:
        words: what to change.
        bytes: what a GPU would then need; `fits` whether it has that.
    """

    words: str
    bytes: int
    fits: bool


@dataclass(frozen=True)
class Case:
    """A run on some GPUs."""

    config: AdapterTraining
    sizes: Sizes
    cards: Cards

    def peak(self) -> int:
        """Bytes that a GPU needs."""
        stages = adapter_stages(self.config, self.sizes, self.cards)
        return max(stage.memory.peak for stage in stages)


@dataclass(frozen=True)
class _Switch:
    """A change; of those of one family only one makes sense."""

    family: str
    words: str
    change: Callable[[Case], Case]


def advise(case: Case) -> Iterator[Advice]:
    """The switches that help, until one is enough; else several together; else more GPUs."""
    before, usable = case.peak(), case.cards.usable
    for more in (False, True):
        for switch in _switches(case):
            if (switch.family == _GPUS) is not more:
                continue
            peak = switch.change(case).peak()
            if peak < _HELPS * before:
                yield Advice(switch.words, peak, peak <= usable)
                if peak <= usable:
                    return
        several = _together(case, more)
        if several is not None:
            yield several
            if several.fits:
                return


def _together(case: Case, gpus: bool) -> Advice | None:
    """Switch after switch, the first that helps in each turn: the worst moment moves with them."""
    words: dict[str, str] = {}
    peak, usable = case.peak(), case.cards.usable
    while peak > usable:
        for switch in _switches(case):
            if switch.family == _GPUS and not gpus:
                continue
            changed = switch.change(case)
            now = changed.peak()
            if now < _HELPS * peak:
                words[switch.family] = switch.words
                if switch.family == _GPUS:
                    for alone in ("base", "moments"):
                        words.pop(alone, None)
                case, peak = changed, now
                break
        else:
            break
    if len(words) < 2:
        return None
    return Advice(" and ".join(words.values()), peak, peak <= usable)


def _switches(case: Case) -> Iterator[_Switch]:
    """Changes that make a run smaller, those that cost least first."""
    config, cards = case.config, case.cards
    base, o = config.base, config.optimization
    if not base.tiled:
        yield _Switch("tiled", "base.tiled: true", lambda c: _base(c, tiled=True))
    if not base.recompute:
        yield _Switch("recompute", "base.recompute: true", lambda c: _base(c, recompute=True))
    most, rest = divmod(o.batch, cards.count)
    if not rest and o.accumulate < most:
        words = f"optimization.accumulate: {most}"
        yield _Switch("accumulate", words, lambda c: _optimized(c, accumulate=most))
    if o.moments == "fp32" and cards.count == 1:
        words = "optimization.moments: 8bit"
        yield _Switch("moments", words, lambda c: _optimized(c, moments="8bit"))
    if config.validation.every:
        yield _Switch("validation", "validation.every: 0", _unseen)
    if o.ema:
        yield _Switch("ema", "optimization.ema: 0", lambda c: _optimized(c, ema=0.0))
    if base.dtype == "bf16" and cards.count == 1:
        yield _Switch("base", "base.dtype: fp8", lambda c: _base(c, dtype="fp8"))
    for frames in _FEWER_FRAMES:
        if frames < case.sizes.cache.frames:
            yield _Switch("frames", f"{frames} frames in precompute", _shorter(frames))
    for gpus in _MORE_GPUS:
        if gpus > cards.count and o.batch % gpus == 0:
            yield _Switch(_GPUS, f"{gpus} GPUs", _on(gpus))


def _base(case: Case, **changes: Any) -> Case:
    return replace(case, config=replace(case.config, base=replace(case.config.base, **changes)))


def _optimized(case: Case, **changes: Any) -> Case:
    settings = replace(case.config.optimization, **changes)
    return replace(case, config=replace(case.config, optimization=settings))


def _unseen(case: Case) -> Case:
    validation = replace(case.config.validation, every=0)
    return replace(case, config=replace(case.config, validation=validation))


def _shorter(frames: int) -> Callable[[Case], Case]:
    def change(case: Case) -> Case:
        cache = with_frames(case.sizes.cache, frames, case.sizes.model.grid)
        return replace(case, sizes=replace(case.sizes, cache=cache))

    return change


def _on(gpus: int) -> Callable[[Case], Case]:
    def change(case: Case) -> Case:
        o = case.config.optimization
        # As many clips on each as before, where the batch allows it.
        clips = max(1, o.batch // (o.accumulate * case.cards.count))
        case = _optimized(case, accumulate=max(1, o.batch // (gpus * clips)))
        if case.config.base.dtype == "fp8":
            case = _base(case, dtype="bf16")
        case = _optimized(case, moments="fp32")
        return replace(case, cards=replace(case.cards, count=gpus))

    return change
