"""The log of a run: one JSON object a line, in the order of the steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..fields import show
from ..files import atomic_path


class Journal:
    """A file of measures by step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, float]]:
        """Every line that was written whole; a killed run may leave a part of its last one.

        Raises:
            ValueError: names the file and the line that is damaged.
        """
        if not self.path.exists():
            return []
        rows = []
        lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        for number, line in enumerate(lines[:-1], 1):
            try:
                row: Any = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not _is_row(row):
                raise ValueError(
                    f"line {number} of {str(self.path)!r} is {show(line)}; expected measures of a "
                    "step: remove the line"
                )
            rows.append(row)
        return rows

    def cut(self, step: int) -> None:
        """Forget what an interrupted run wrote after its last checkpoint."""
        rows = [row for row in self.read() if row["step"] <= step]
        if self.path.exists():
            with atomic_path(self.path) as temporary:
                temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write(self, step: int, measures: dict[str, float]) -> None:
        """Add the measures of a step."""
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": step, **measures}) + "\n")


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        return False
    return all(type(v) is float or (type(v) is int and abs(v) < 2**63) for v in row.values())
