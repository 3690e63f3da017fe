"""Recipes: which parts train on which data with which objective, one a model.

A configuration names its recipe by the key `recipe`; without one it is the bundled model's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from ...fields import show
from ...settings import read_yaml

RECIPES = ("tiny", "adapter")


def recipe_of(path: Path | str) -> str:
    """The recipe that a YAML configuration names.

    Raises:
        ValueError: if there is no such recipe, or the file is no configuration.
        OSError: if it cannot be read.
    """
    values = read_yaml(path)
    name = values.get("recipe", RECIPES[0]) if isinstance(values, Mapping) else RECIPES[0]
    if name not in RECIPES:
        raise ValueError(
            f"configuration {str(path)!r}: key 'recipe' is {show(name)}; "
            f"expected one of {', '.join(RECIPES)}"
        )
    return str(name)


def run(path: Path | str) -> Path:
    """Train as a configuration says, or go on where an earlier run of the same one stopped.

    Returns:
        Where the result lies: a model's folder, or an adapter's file.

    Raises:
        ValueError: if the configuration is malformed or cannot be built.
        OSError: if something cannot be read or written.
        Terminated: after SIGTERM, with a checkpoint of the last step.
    """
    train: Callable[[Path | str], Path] = import_module(f".{recipe_of(path)}", __name__).run
    return train(path)
