"""The host's progress bar and its interrupt, for work outside a sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from comfy import model_management, utils


@contextmanager
def steps(total: int) -> Iterator[Callable[[], None]]:
    """Yields a function that advances the bar by one and raises if the user has interrupted."""
    bar = utils.ProgressBar(total)

    def advance() -> None:
        model_management.throw_exception_if_processing_interrupted()
        bar.update(1)

    model_management.throw_exception_if_processing_interrupted()
    yield advance
    bar.update_absolute(total)
