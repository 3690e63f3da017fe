"""A page that shows the funnel and examples of what each stage kept and dropped; one file."""

from __future__ import annotations

import base64
import html
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..files import atomic_path
from .candidate import Candidate
from .funnel import Count, Funnel, common_reasons
from .journal import Row

_SIDE = 96
_PLACES = (0.05, 0.5, 0.95)
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1d2430; max-width: 1180px; margin: 24px auto;
  padding: 0 16px; }
h1 { font-size: 22px; } h2 { font-size: 17px; margin-top: 32px; border-top: 1px solid #d6dbe3;
  padding-top: 16px; } h3 { font-size: 14px; margin: 12px 0 4px; }
table { border-collapse: collapse; } td, th { padding: 3px 14px 3px 0; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.sheet { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; width: 360px; } img { display: block; max-width: 100%; border-radius: 3px; }
figcaption { font-size: 12px; color: #4a5568; overflow-wrap: anywhere; }
.none { width: 100%; height: 60px; background: #eceff4; border-radius: 3px; }
.kept figure { border-left: 3px solid #2f8f5b; padding-left: 6px; }
.dropped figure { border-left: 3px solid #b5423c; padding-left: 6px; }
"""


class Examples:
    """A few rows that each stage kept, and a few that it dropped, drawn evenly from all.

    Args:
        stages: of the run.
        most: of either kind for each stage.
    """

    def __init__(self, stages: Sequence[str], most: int) -> None:
        self.most = most
        self.kept: dict[str, list[Row]] = {name: [] for name in stages}
        self.dropped: dict[str, list[Row]] = {name: [] for name in stages}
        self._seen: dict[tuple[str, bool], int] = {}
        self._draw = random.Random(0)

    def add(self, row: Row) -> None:
        """Take a row into account."""
        for step in row.steps:
            if step.stage != row.dropped_by:
                self._offer(self.kept[step.stage], (step.stage, True), row)
        if row.dropped_by is not None:
            self._offer(self.dropped[row.dropped_by], (row.dropped_by, False), row)

    def _offer(self, held: list[Row], name: tuple[str, bool], row: Row) -> None:
        seen = self._seen[name] = self._seen.get(name, 0) + 1
        if len(held) < self.most:
            held.append(row)
        elif (place := self._draw.randrange(seen)) < self.most:
            held[place] = row


def write_page(
    funnel: Funnel, examples: Examples, left_out: Sequence[str], picture: Path, path: Path
) -> None:
    """Write the page; frames that cannot be read are left grey.

    Raises:
        OSError: if it cannot be written.
    """
    strips: dict[str, str] = {}
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Curation</title>",
        f"<style>{_STYLE}</style></head><body><h1>From videos to clips</h1>",
        _picture(picture.read_bytes(), "png", "the funnel"),
        _table(funnel, left_out),
    ]
    for name, count in funnel.counts.items():
        parts.append(f"<h2>{html.escape(name)}</h2>{_reasons(count)}")
        for kind, rows in (("kept", examples.kept[name]), ("dropped", examples.dropped[name])):
            if rows:
                shown = "".join(_figure(row, kind == "dropped", strips) for row in rows)
                parts.append(f"<h3>{kind}</h3><div class='sheet {kind}'>{shown}</div>")
    parts.append("</body></html>\n")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8", errors="backslashreplace")


def _table(funnel: Funnel, left_out: Sequence[str]) -> str:
    lines = [
        "<table><tr><th>stage</th><th class='n'>in</th><th class='n'>out</th>"
        "<th class='n'>seconds</th></tr>"
    ]
    for name, values in funnel.to_dict().items():
        lines.append(
            f"<tr><td>{html.escape(name)}</td><td class='n'>{values['in']}</td>"
            f"<td class='n'>{values['out']}</td><td class='n'>{values['seconds']:.1f}</td></tr>"
        )
    lines.append("</table>")
    if left_out:
        lines.append(f"<p>Left out: {html.escape(', '.join(left_out))}.</p>")
    return "\n".join(lines)


def _reasons(count: Count) -> str:
    found = common_reasons(count)
    if not found:
        return "<p>It dropped none.</p>"
    items = "".join(f"<li>{number}: {html.escape(reason)}</li>" for reason, number in found)
    return f"<ul>{items}</ul>"


def _figure(row: Row, dropped: bool, strips: dict[str, str]) -> str:
    if row.key not in strips:
        strips[row.key] = _strip(row.candidate())
    scores = ", ".join(f"{name} {score:.3g}" for name, score in sorted(row.scores.items()))
    name = f"{Path(row.source).name}, {row.start:.1f} to {row.end:.1f} s"
    lines = [name, row.reason if dropped and row.reason else scores]
    text = "<br>".join(html.escape(line) for line in lines)
    return f"<figure>{strips[row.key]}<figcaption>{text}</figcaption></figure>"


def _strip(candidate: Candidate) -> str:
    """Three frames of a candidate beside each other."""
    count = candidate.frame_count
    if count < 1:
        return "<div class='none'></div>"
    places = sorted(round(place * (count - 1)) for place in _PLACES)
    try:
        frames: Any = candidate.frames(places, _SIDE)
    except (ValueError, OSError):
        return "<div class='none'></div>"
    file = io.BytesIO()
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(file, "JPEG", quality=80)
    return _picture(file.getvalue(), "jpeg", "three frames")


def _picture(content: bytes, kind: str, words: str) -> str:
    data = base64.b64encode(content).decode("ascii")
    return f"<img alt='{words}' src='data:image/{kind};base64,{data}'>"
