"""What a benchmark wrote: a table, all figures, and a page with the videos side by side."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..files import atomic_path
from .cases import Case
from .scoring import METRICS, Scorer
from .suite_results import SPLITS, Result, SuiteConfig, kinds, of_split

_DIGITS = {"trajectory": 2, "dynamic": 2}
_LOWER = {"trajectory"}
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #8884; padding: .35rem .8rem; text-align: right; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
td small, figcaption small { color: #888; }
section { border-top: 1px solid #8884; margin-top: 2rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { flex: 1 1 18rem; margin: 0; max-width: 30rem; }
video { background: #8882; border-radius: 4px; width: 100%; }
"""


def write_report(
    output: Path,
    config: SuiteConfig,
    scorer: Scorer,
    cases: Sequence[Case],
    results: Sequence[Result],
) -> dict[str, Any]:
    """Write `results.json`, `results.md` and `index.html`; return what the first one holds."""
    tracker = scorer.tracker
    content: dict[str, Any] = {
        "metrics": {name: METRICS[name] for name in config.metrics},
        "tracker": None if tracker is None else tracker.name,
        "tracker_licence": None if tracker is None else tracker.licence,
        "anchor": scorer.anchor if tracker is not None else None,
        "systems": {
            system.name: {split: _means(config, results, system.name, split) for split in SPLITS}
            for system in config.systems
        },
        "cases": {
            case.name: {
                "prompt": case.prompt,
                "entities": kinds(case),
                "systems": {
                    result.system: {"figures": result.figures, "notes": list(result.notes)}
                    for result in results
                    if result.case.name == case.name
                },
            }
            for case in cases
        },
    }
    _write(output / "results.json", json.dumps(content, indent=2) + "\n")
    _write(output / "results.md", _markdown(content, len(cases)))
    _write(output / "index.html", _page(output, content, results))
    return content


def _means(
    config: SuiteConfig, results: Sequence[Result], system: str, split: str
) -> dict[str, dict[str, float | int | None]]:
    own = [result for result in results if result.system == system]
    means: dict[str, dict[str, float | int | None]] = {}
    for metric in config.metrics:
        values = [of_split(result, metric, split) for result in own]
        known = [value for value in values if value is not None]
        mean = sum(known) / len(known) if known else None
        means[metric] = {"mean": mean, "cases": len(known)}
    return means


def _rows(content: dict[str, Any]) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Titles of the columns, and rows of (number, how many cases)."""
    arrows = {name: " ↓" if name in _LOWER else " ↑" for name in content["metrics"]}
    arrows["dynamic"] = ""
    titles = [f"{said}{arrows[name]}" for name, said in content["metrics"].items()]
    rows = []
    for system, splits in content["systems"].items():
        for split, means in splits.items():
            cells = [
                (_number(name, found["mean"]), str(found["cases"])) for name, found in means.items()
            ]
            rows.append([(system, ""), (split, ""), *cells])
    return ["system", "entities", *titles], rows


def _number(metric: str, value: float | None) -> str:
    return "–" if value is None else f"{value:.{_DIGITS.get(metric, 3)}f}"


def _foot(content: dict[str, Any]) -> str:
    words = "In brackets: the cases in which it could be measured."
    if content["tracker"] is not None:
        anchor = {
            "path": "what is where a path begins is followed, as the paper does",
            "thing": "the thing that a path begins on, or that moves beside it, is followed",
        }[content["anchor"]]
        words += (
            f" TrajError is the mean of |dx| + |dy| in pixels of the video, measured by "
            f"{content['tracker']} ({content['tracker_licence']}); {anchor}."
        )
    return words


def _markdown(content: dict[str, Any], cases: int) -> str:
    titles, rows = _rows(content)
    lines = [
        f"# {cases} case{'s' if cases != 1 else ''}",
        "",
        "| " + " | ".join(titles) + " |",
        "| --- | --- |" + " ---: |" * (len(titles) - 2),
    ]
    for row in rows:
        cells = [f"{cell} ({count})" if count else cell for cell, count in row]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", _foot(content)]
    notes = [
        f"- {name}, {system}: {_line(note)}"
        for name, case in content["cases"].items()
        for system, found in case["systems"].items()
        for note in found["notes"]
    ]
    if notes:
        lines += ["", "Not measured:", "", *notes]
    return "\n".join(lines) + "\n"


def _page(output: Path, content: dict[str, Any], results: Sequence[Result]) -> str:
    titles, rows = _rows(content)
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(cell)}" + (f" <small>({count})</small>" if count else "") + "</td>"
            for cell, count in row
        )
        + "</tr>\n"
        for row in rows
    )
    parts = [
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>Benchmark</title>\n<style>{_STYLE}</style>",
        f"<h1>{len(content['cases'])} cases</h1>",
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>",
        f"<p>{escape(_foot(content))}</p>",
    ]
    for name, case in content["cases"].items():
        figures = [
            _figure(output, content, result) for result in results if result.case.name == name
        ]
        prompt = f"<p>{escape(case['prompt'])}</p>" if case["prompt"] else ""
        parts.append(
            f"<section>\n<h2>{escape(name)}</h2>\n{prompt}\n"
            f"<div class='row'>{''.join(figures)}</div>\n</section>"
        )
    return "\n".join([*parts, "</html>", ""])


def _figure(output: Path, content: dict[str, Any], result: Result) -> str:
    """One video with its numbers."""
    if result.video is None:
        shown = "<p>no video</p>"
    else:
        place = quote(Path(os.path.relpath(result.video, output)).as_posix())
        shown = f"<video src='{place}' controls loop muted playsinline></video>"
    said = [
        f"{escape(METRICS[metric])} {_number(metric, of_split(result, metric, 'all'))}"
        for metric in content["metrics"]
    ]
    notes = "".join(f"<br><small>{escape(note)}</small>" for note in result.notes)
    return (
        f"<figure>{shown}<figcaption><b>{escape(result.system)}</b> "
        f"{' · '.join(said)}{notes}</figcaption></figure>\n"
    )


def _line(text: str) -> str:
    """Text that stays in one line of Markdown's and is not read as it."""
    flat = " ".join(text.split())
    return "".join("\\" + c if c in "\\`*_[]<>|" else c for c in flat)


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
