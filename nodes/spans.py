"""A part of the sampling as two inputs, `start` and `end`, from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from comfy_api.latest import io


def moment(name: str, default: float, what: str, advanced: bool | None = None) -> io.Input:
    """One end of a part: what happens there completes the tooltip's sentence."""
    return io.Float.Input(
        name,
        default=default,
        min=0.0,
        max=1.0,
        step=0.01,
        advanced=advanced,
        tooltip=f"Part of the sampling at which {what}.",
    )


def in_order(inputs: Mapping[str, Any], *prefixes: str) -> Callable[[], None]:
    """A check for `refusal`: no part ends before it starts.

    Args:
        inputs: what `validate_inputs` received; linked ones are taken on trust.
        prefixes: what stands before `start` and `end` in the names of each part's inputs.
    """

    def check() -> None:
        for prefix in prefixes:
            start, end = inputs.get(f"{prefix}start"), inputs.get(f"{prefix}end")
            if start is not None and end is not None and start > end:
                raise ValueError(
                    f"{prefix}start is {start:g} and {prefix}end is {end:g}, "
                    "expected the start not to lie after the end"
                )

    return check
