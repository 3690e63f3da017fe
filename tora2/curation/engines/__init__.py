"""Engines: what runs the stages. One file each, with `make(workers, address)`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ...fields import refuse
from ..work import Engine


def engines() -> tuple[str, ...]:
    """The names of all engines."""
    return tuple(info.name for info in iter_modules(__path__))


def make(name: str, workers: int, address: str | None = None) -> Engine:
    """An engine by its name.

    Args:
        name: one of `engines()`.
        workers: processes that work at once.
        address: of a cluster, for the engine that has one.

    Raises:
        ValueError: if there is none of that name, or it lacks a package.
    """
    if name not in engines():
        raise refuse("engine", name, f"one of {', '.join(engines())}")
    engine: Engine = import_module(f".{name}", __name__).make(workers, address)
    return engine
