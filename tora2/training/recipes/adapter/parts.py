"""The parts of an adapter that a stage may train, by their names in a configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from ....models.adapter import Tora2Adapter
from ....models.config import Tora2Config


@dataclass(frozen=True)
class Part:
    """Parameters that are trained together.

    Attributes:
        prefixes: of their names in the adapter.
        exists: whether an adapter of a configuration has them.
    """

    prefixes: tuple[str, ...]
    exists: Callable[[Tora2Config], bool]


def _motion(config: Tora2Config) -> bool:
    return "motion" in config.capabilities


def _appearance(config: Tora2Config) -> bool:
    return "appearance" in config.capabilities


def _both(config: Tora2Config) -> bool:
    return _motion(config) and _appearance(config)


PARTS = {
    "extractor": Part(("extractor.",), _motion),
    "fuser": Part(("fuser.",), _motion),
    "personalization": Part(("personalization.", "to_context."), _appearance),
    "cross_attention": Part(("cross_attention.",), _appearance),
    "binder": Part(("binder.", "splat.", "null_p", "null_m", "motion_tokens."), _both),
    "contrastive": Part(("contrastive_p.", "contrastive_m."), _both),
}
"""Every parameter of an adapter belongs to exactly one."""


def part_of(name: str) -> str:
    """The part that a parameter of the adapter belongs to.

    Raises:
        ValueError: if it belongs to none.
    """
    for part, spec in PARTS.items():
        if name.startswith(spec.prefixes):
            return part
    raise ValueError(f"{name} is no parameter of an adapter")


def train_only(adapter: Tora2Adapter, parts: Sequence[str]) -> list[nn.Parameter]:
    """Have gradients for some parts of an adapter and for no others.

    Returns:
        The parameters that are trained.

    Raises:
        ValueError: if the adapter has none of them.
    """
    trained = []
    for name, parameter in adapter.named_parameters():
        wanted = part_of(name) in parts
        parameter.requires_grad_(wanted)
        if wanted:
            trained.append(parameter)
    if not trained:
        raise ValueError(f"the adapter has none of the parts {', '.join(parts)} to train")
    return trained
