"""The lines of a text that is not trusted."""

from __future__ import annotations

import io
from collections.abc import Iterator

from ..document import MAX_FRAMES, MAX_TRACKS

MAX_LINES = 2 * MAX_TRACKS * MAX_FRAMES
"""Twice what our own largest table has, blank lines included."""


def lines(text: str) -> Iterator[tuple[int, str]]:
    r"""The number and the content of every line that is not blank, without spaces and tabs around.

    Lines end in `\n`, `\r\n` or `\r`.

    Raises:
        ValueError: if there are more than `MAX_LINES`.
    """
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if number > MAX_LINES:
            raise ValueError(f"there are more than {MAX_LINES} lines, expected at most that many")
        line = line.strip(" \t\n")
        if line:
            yield number, line
