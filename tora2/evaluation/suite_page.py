"""A benchmark's page: its table, and every case's videos side by side with the paths on them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..overlay import track_colors
from .cases import Case
from .scoring import METRICS
from .suite_results import Result, of_split, written

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #8884; padding: .35rem .8rem; text-align: right; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
td small, figcaption small { color: #888; }
section { border-top: 1px solid #8884; margin-top: 2rem; }
.row, .asked { display: flex; flex-wrap: wrap; gap: 1rem; }
.asked { margin-bottom: 1rem; }
.asked figure { flex: none; text-align: center; }
.asked img { background: #fff; border-radius: 4px; height: 4.5rem; }
figure { flex: 1 1 18rem; margin: 0; max-width: 30rem; }
.shown { line-height: 0; position: relative; }
video { background: #8882; border-radius: 4px; width: 100%; }
svg { height: 100%; inset: 0; pointer-events: none; position: absolute; width: 100%; }
polyline, circle { vector-effect: non-scaling-stroke; fill: none; stroke-width: 2; }
.measured { stroke: #fff; stroke-dasharray: 5 4; filter: drop-shadow(0 0 1px #000); }
"""
_LEGEND = (
    "On the videos, paths that were asked for are in colour and begin in a ring; where things were "
    "measured is dashed."
)


def page(
    output: Path,
    table: tuple[list[str], list[list[tuple[str, str]]]],
    foot: str,
    content: Mapping[str, Any],
    cases: Sequence[Case],
    results: Sequence[Result],
) -> str:
    """The page as HTML; it has no script, and its files are named relative to `output`.

    Args:
        output: the folder that it is written to.
        table: titles of the columns, and rows of (number, how many cases).
        foot: what stands below the table.
        content: of `results.json`.
        cases, results: in the order in which they are shown.
    """
    titles, rows = table
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
    said = f"{foot} {_LEGEND}" if "trajectory" in content["metrics"] else foot
    parts = [
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>Benchmark</title>\n<style>{_STYLE}</style>",
        f"<h1>{len(cases)} case{'s' if len(cases) != 1 else ''}</h1>",
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>",
        f"<p>{escape(said)}</p>",
    ]
    for case in cases:
        figures = [
            _figure(output, content["metrics"], result)
            for result in results
            if result.case.name == case.name
        ]
        prompt = f"<p>{escape(case.prompt)}</p>\n" if case.prompt else ""
        parts.append(
            f"<section>\n<h2>{escape(case.name)}</h2>\n{prompt}{_pictures(output, case)}"
            f"<div class='row'>{''.join(figures)}</div>\n</section>"
        )
    return "\n".join([*parts, "</html>", ""])


def _pictures(output: Path, case: Case) -> str:
    """What entities must look like, each with a dot of its path's colour."""
    colors = {} if case.document is None else {e.id: e.color for e in case.document.entities}
    shown = "".join(
        f"<figure><img src='{_place(output, subject.images[0])}' alt='' loading='lazy'>"
        f"<figcaption><span style='color: {colors.get(subject.id, '#8888')}'>●</span> "
        f"<small>{escape(subject.word)}</small></figcaption></figure>"
        for subject in case.subjects
        if subject.images
    )
    return f"<div class='asked'>{shown}</div>\n" if shown else ""


def _figure(output: Path, metrics: Iterable[str], result: Result) -> str:
    """One video with its paths and its numbers."""
    if result.video is None:
        shown = "<p>no video</p>"
    else:
        place = _place(output, result.video)
        video = f"<video src='{place}' controls loop muted playsinline preload='metadata'></video>"
        shown = f"<div class='shown'>{video}{_paths(result)}</div>"
    said = [
        f"{escape(METRICS[metric])} {written(metric, of_split(result, metric, 'all'))}"
        for metric in metrics
    ]
    notes = "".join(f"<br><small>{escape(note)}</small>" for note in result.notes)
    return (
        f"<figure>{shown}<figcaption><b>{escape(result.system)}</b> "
        f"{' · '.join(said)}{notes}</figcaption></figure>\n"
    )


def _paths(result: Result) -> str:
    """The requested and the measured paths, as lines over the video."""
    paths, document = result.figures.get("paths"), result.case.document
    if not paths or document is None:
        return ""
    size = result.figures["resolution"]
    lines = []
    for track, color in zip(document.tracks, track_colors(document), strict=True):
        own = paths.get(track.id, {})
        for part in _pieces(own.get("requested", ())):
            x, y = part[0]
            lines.append(
                f"<circle cx='{x}' cy='{y}' r='{min(size.values()) / 60:.1f}' stroke='{color}'/>"
                f"<polyline points='{_points(part)}' stroke='{color}'/>"
            )
        for part in _pieces(own.get("measured", ())):
            lines.append(f"<polyline class='measured' points='{_points(part)}'/>")
    box = f"0 0 {size['width']} {size['height']}"
    return f"<svg viewBox='{box}' preserveAspectRatio='none'>{''.join(lines)}</svg>"


def _pieces(points: Iterable[Sequence[float] | None]) -> list[list[Sequence[float]]]:
    """Runs of points that are there."""
    pieces: list[list[Sequence[float]]] = [[]]
    for point in points:
        if point is None:
            pieces.append([])
        else:
            pieces[-1].append(point)
    return [piece for piece in pieces if piece]


def _points(part: Sequence[Sequence[float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in part)


def _place(output: Path, file: Path) -> str:
    return quote(Path(os.path.relpath(file, output)).as_posix())
