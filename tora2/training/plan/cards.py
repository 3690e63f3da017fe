"""The GPUs of a plan: how many, their memory and speed, and what time that makes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...fields import show

GIB = 2**30
SECONDS = 3600


@dataclass(frozen=True)
class Cards:
    """Some GPUs of one kind.

    Attributes:
        count: how many.
        memory: GiB of each; `share` of it is for tensors, the rest for the driver, libraries'
            workspaces and what lies idle between tensors.
        tflops: operations a second in bfloat16 that its maker states, in 10^12, without sparsity.
        utilisation: share of them that a run is taken to reach.
    """

    count: int = 1
    memory: float = 80.0
    tflops: float = 989.0
    utilisation: float = 0.35
    share: float = 0.92

    def __post_init__(self) -> None:
        for name, low, high in (
            ("count", 1, 65_536),
            ("memory", 0.001, 4096),
            ("tflops", 0.001, 1e6),
            ("utilisation", 0.001, 1),
            ("share", 0.1, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {show(value)}; expected {low} to {high:g}")

    @property
    def usable(self) -> int:
        """Bytes for tensors on each."""
        return int(self.memory * GIB * self.share)

    def seconds(self, operations: int) -> float:
        """How long one of them takes for so many operations."""
        return operations / (self.tflops * 1e12 * self.utilisation)


CARDS = {
    "4090": Cards(memory=24, tflops=165),
    "a100": Cards(memory=80, tflops=312),
    "h100": Cards(memory=80, tflops=989),
    "h200": Cards(memory=140, tflops=989),
}
"""By name; makers' figures for dense bfloat16."""


def cards(
    name: str = "h100",
    count: int = 1,
    memory: float | None = None,
    tflops: float | None = None,
    utilisation: float | None = None,
) -> Cards:
    """GPUs of a known kind, some figures given.

    Raises:
        ValueError: if the kind is unknown, or a figure out of bounds.
    """
    if name not in CARDS:
        raise ValueError(f"card {show(name)} is unknown; expected one of {', '.join(CARDS)}")
    given = {"memory": memory, "tflops": tflops, "utilisation": utilisation}
    return replace(CARDS[name], count=count, **{k: v for k, v in given.items() if v is not None})
