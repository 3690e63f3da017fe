"""What a benchmark wrote: a table and all figures; `suite_page` shows them with the videos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import atomic_path
from .cases import Case
from .scoring import METRICS, Scorer
from .suite_page import page
from .suite_results import SPLITS, Result, SuiteConfig, kinds, of_split, written

_LOWER = {"trajectory"}


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
        "tracker_resolutions": _resolutions(results),
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
                    result.system: {"figures": _told(result), "notes": list(result.notes)}
                    for result in results
                    if result.case.name == case.name
                },
            }
            for case in cases
        },
    }
    _write(output / "results.json", json.dumps(content, indent=2) + "\n")
    _write(output / "results.md", _markdown(content, len(cases)))
    _write(
        output / "index.html", page(output, table(content), foot(content), content, cases, results)
    )
    return content


def _told(result: Result) -> dict[str, Any]:
    """The figures without the paths, point by point, which are the page's."""
    return {name: value for name, value in result.figures.items() if name != "paths"}


def _resolutions(results: Sequence[Result]) -> list[str]:
    """`<width>x<height>` at which the tracker looked, each once."""
    seen = [result.figures.get("tracker_resolution") for result in results]
    return sorted({f"{size['width']}x{size['height']}" for size in seen if size is not None})


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


def table(content: dict[str, Any]) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Titles of the columns, and rows of (number, how many cases)."""
    arrows = {name: " ↓" if name in _LOWER else " ↑" for name in content["metrics"]}
    arrows["dynamic"] = ""
    titles = [f"{said}{arrows[name]}" for name, said in content["metrics"].items()]
    rows = []
    for system, splits in content["systems"].items():
        for split, means in splits.items():
            cells = [
                (written(name, found["mean"]), str(found["cases"])) for name, found in means.items()
            ]
            rows.append([(system, ""), (split, ""), *cells])
    return ["system", "entities", *titles], rows


def foot(content: dict[str, Any]) -> str:
    """What stands below the table."""
    words = "In brackets: the cases in which it could be measured."
    if content["tracker"] is not None:
        followed = {
            "path": "what is where a path begins is followed, as the paper does",
            "thing": "the thing that a path begins on, or that moves beside it, is followed",
        }[content["anchor"]]
        if content["tracker"] == "colour":
            followed = "things are found by the colour of their pictures"
        sizes = ", ".join(content["tracker_resolutions"]) or "no video"
        words += (
            f" TrajError is the mean of |dx| + |dy| in pixels of the video, measured by "
            f"{content['tracker']} ({content['tracker_licence']}) at {sizes}; {followed}."
        )
    return words


def _markdown(content: dict[str, Any], cases: int) -> str:
    titles, rows = table(content)
    lines = [
        f"# {cases} case{'s' if cases != 1 else ''}",
        "",
        "| " + " | ".join(titles) + " |",
        "| --- | --- |" + " ---: |" * (len(titles) - 2),
    ]
    for row in rows:
        cells = [f"{cell} ({count})" if count else cell for cell, count in row]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", foot(content)]
    notes = [
        f"- {name}, {system}: {_line(note)}"
        for name, case in content["cases"].items()
        for system, found in case["systems"].items()
        for note in found["notes"]
    ]
    if notes:
        lines += ["", "Not measured:", "", *notes]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    """Text that stays in one line of Markdown's and is not read as it."""
    flat = " ".join(text.split())
    return "".join("\\" + c if c in "\\`*_[]<>|" else c for c in flat)


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
