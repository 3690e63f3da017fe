"""Paths of a drawing: SVG, in both directions, as far as lines and Bezier curves go."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

import numpy as np

from ...fields import show
from ..curves import spline_handles
from ..document import MAX_POINTS, MAX_TRACKS, Track, TrajectoryDocument, parse
from ..sampling import handles_of

MAX_TOKENS = 20 * MAX_POINTS

_TAG = re.compile(r"<(path|polyline|polygon|line|svg)\b([^<>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_TOKEN = re.compile(r"([A-Za-z])|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
_COUNTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "Z": 0}

Pair = tuple[float, float]
Node = dict[str, Pair]
"""A point `at`, and its Bezier handles `arrive` and `leave`, all absolute."""


def is_svg(text: str) -> bool:
    """Whether a text begins as SVG does."""
    return bool(re.match(r"\s*<(\?xml|svg|!doctype svg|!--)", text[:512], re.IGNORECASE))


def read_svg(text: str, size: tuple[int, int], frames: int) -> TrajectoryDocument:
    """Every path, polyline, polygon and line as a track over all frames, with its Bezier handles.

    Args:
        text: SVG. Its viewBox, else its width and height, else `size`, is fitted to the canvas by
            stretching. Transforms are not applied: a drawing that has some is refused.
        size: (height, width) of the canvas in pixels.
        frames: 4k + 1.

    Raises:
        ValueError: for arcs, transforms, or a drawing without paths.
    """
    left, top, wide, high = 0.0, 0.0, float(size[1]), float(size[0])
    tracks: list[dict[str, object]] = []
    for name, content in _TAG.findall(text):
        fields = {key.lower(): a or b for key, a, b in _ATTRIBUTE.findall(content)}
        if "transform" in fields:
            raise ValueError(f"a {name} of the drawing has a transform, expected none")
        if name.lower() == "svg":
            box = _numbers(fields.get("viewbox", ""))
            sides = [_numbers(fields.get(key, ""))[:1] for key in ("width", "height")]
            if len(box) == 4 and box[2] > 0 and box[3] > 0:
                left, top, wide, high = box
            elif all(sides) and all("%" not in fields[key] for key in ("width", "height")):
                wide, high = (max(1e-9, side[0]) for side in sides)
            continue
        for nodes in _shapes(name.lower(), fields):
            if len(tracks) == MAX_TRACKS:
                raise ValueError(f"the drawing has more paths, expected at most {MAX_TRACKS}")
            tracks.append(
                {"id": f"t{len(tracks) + 1}", "points": _points(nodes, left, top, wide, high)}
            )
    if not tracks:
        raise ValueError(
            "the drawing holds no path, polyline, polygon or line, expected at least one"
        )
    height, width = size
    return parse(
        {"version": 2, "width": width, "height": height, "frames": frames, "tracks": tracks}
    )


def dumps_svg(document: TrajectoryDocument) -> str:
    """The paths as they are drawn: an SVG path of cubic Bezier curves each; anchors as points."""
    width, height = document.width, document.height
    colors = {entity.id: entity.color for entity in document.entities}
    rows = []
    for track in document.tracks:
        color = colors.get(track.entity or "", "#4c9ffe")
        title = html.escape(track.name or track.id)
        rows.append(
            f'<path id="{track.id}" d="{_drawn(track, width, height)}" fill="none" '
            f'stroke="{color}" stroke-width="3" stroke-linecap="round">'
            f"<title>{title}</title></path>"
        )
    body = "\n".join(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">\n{body}\n</svg>\n'
    )


def _drawn(track: Track, width: int, height: int) -> str:
    places = [(point.x * width, point.y * height) for point in track.points]
    parts = [f"M{_number(places[0][0])} {_number(places[0][1])}"]
    if len(places) == 1:
        return parts[0] + "h0"
    size = np.array([width, height], dtype=np.float64)
    control = np.array(places)
    handles = (
        spline_handles(control, track.tension, handles_of(track, size))
        if track.curve == "spline"
        else None
    )
    for index, (x, y) in enumerate(places[1:]):
        if handles is None:
            parts.append(f"L{_number(x)} {_number(y)}")
            continue
        (ax, ay), (bx, by) = handles[index]
        values = (ax, ay, bx, by, x, y)
        parts.append("C" + " ".join(map(_number, values)))
    return "".join(parts)


def _number(value: float) -> str:
    return f"{round(value, 3) + 0:g}" if abs(value) < 1e5 else f"{value:.3f}"


def _numbers(text: str) -> list[float]:
    return [float(value) for _, value in _TOKEN.findall(text) if value]


def _shapes(name: str, fields: dict[str, str]) -> Iterator[list[Node]]:
    if name == "line":
        ends = [_numbers(fields.get(key, "0"))[:1] or [0.0] for key in ("x1", "y1", "x2", "y2")]
        yield [{"at": (ends[0][0], ends[1][0])}, {"at": (ends[2][0], ends[3][0])}]
    elif name == "path":
        yield from _path(fields.get("d", ""))
    else:
        flat = _numbers(fields.get("points", ""))
        nodes: list[Node] = [{"at": pair} for pair in zip(flat[::2], flat[1::2], strict=False)]
        if name == "polygon" and nodes:
            nodes.append({"at": nodes[0]["at"]})
        if nodes:
            yield nodes


def _path(text: str) -> Iterator[list[Node]]:
    """The parts of a path's `d`, each from one `M` to the next."""
    nodes: list[Node] = []
    for command, relative, v in _commands(text):
        x, y = nodes[-1]["at"] if nodes else (0.0, 0.0)
        dx, dy = (x, y) if relative else (0.0, 0.0)
        if command == "M":
            if nodes:
                yield nodes
                nodes = []
            nodes.append({"at": (v[0] + dx, v[1] + dy)})
            continue
        if not nodes:
            raise ValueError(f"a path begins with {command}, expected M")
        last = nodes[-1]
        if command == "Z":
            nodes.append({"at": nodes[0]["at"]})
        elif command in "LHV":
            to = (v[0] + dx, v[1] + dy) if command == "L" else (v[0] + dx, y)
            nodes.append({"at": (x, v[0] + dy) if command == "V" else to})
        else:
            pairs = [(a + dx, b + dy) for a, b in zip(v[::2], v[1::2], strict=True)]
            nodes.append(_curve(command, last, pairs))
    if nodes:
        yield nodes


def _curve(command: str, last: Node, pairs: Sequence[Pair]) -> Node:
    """The end of a Bezier curve; its beginning gets the handle it leaves by."""
    x, y = last["at"]
    if command in "ST":  # the first handle is the last one's mirror image
        arrive = last.get("arrive" if command == "S" else "quadratic", last["at"])
        pairs = [(2 * x - arrive[0], 2 * y - arrive[1]), *pairs]
    end = pairs[-1]
    if command in "CS":
        last["leave"] = pairs[0]
        return {"at": end, "arrive": pairs[1]}
    (qx, qy) = pairs[0]
    last["leave"] = (x + (qx - x) * 2 / 3, y + (qy - y) * 2 / 3)
    arrive = (end[0] + (qx - end[0]) * 2 / 3, end[1] + (qy - end[1]) * 2 / 3)
    return {"at": end, "arrive": arrive, "quadratic": (qx, qy)}


def _commands(text: str) -> Iterator[tuple[str, bool, list[float]]]:
    tokens = [(letter, number) for letter, number in _TOKEN.findall(text)]
    if len(tokens) > MAX_TOKENS:
        raise ValueError(f"a path has {len(tokens)} parts, expected at most {MAX_TOKENS}")
    at = 0
    command = ""
    while at < len(tokens):
        if tokens[at][0]:
            command = tokens[at][0]
            at += 1
        elif command.upper() in ("", "Z"):
            raise ValueError(f"a path has the number {tokens[at][1]} where a command is expected")
        kind = command.upper()
        if kind not in _COUNTS:
            raise ValueError(
                f"a path has the command {show(command)}, expected one of M L H V C S Q T Z"
            )
        values = [number for _, number in tokens[at : at + _COUNTS[kind]]]
        if len(values) < _COUNTS[kind] or "" in values:
            raise ValueError(f"a path ends within the command {command}")
        at += _COUNTS[kind]
        yield kind, command.islower(), [float(value) for value in values]
        if kind == "M":  # further pairs are lines
            command = "l" if command == "m" else "L"


def _points(
    nodes: Sequence[Node], left: float, top: float, wide: float, high: float
) -> list[dict[str, object]]:
    """Fractions; a straight stretch has handles along it, so that the spline stays straight."""
    result: list[dict[str, object]] = []
    for index, node in enumerate(nodes):
        x, y = node["at"]
        point: dict[str, object] = {"x": (x - left) / wide, "y": (y - top) / high}
        if index > 0 and len(nodes) > 1:
            bx, by = nodes[index - 1]["at"]
            handle = node.get("arrive", (x + (bx - x) / 3, y + (by - y) / 3))
            point["arrive"] = [(handle[0] - x) / wide, (handle[1] - y) / high]
        if index < len(nodes) - 1:
            bx, by = nodes[index + 1]["at"]
            handle = node.get("leave", (x + (bx - x) / 3, y + (by - y) / 3))
            point["leave"] = [(handle[0] - x) / wide, (handle[1] - y) / high]
        result.append(point)
    return result
