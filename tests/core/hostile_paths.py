"""Documents and path files of every format, damaged at random but from a seed."""

from __future__ import annotations

import base64
import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Content = str | bytes
_SAMPLES = Path(__file__).parents[1] / "fixtures" / "foreign_paths.json"

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "width": 720,
    "height": 480,
    "frames": 17,
    "fps": 8,
    "entities": [{"id": "cat", "name": "a cat", "color": "#e4572e"}, {"id": "dog"}],
    "tracks": [
        {
            "id": "t1",
            "entity": "cat",
            "curve": "spline",
            "points": [{"x": 0.2, "y": 0.8, "frame": 2}, {"x": 0.7, "y": 0.4}, {"x": 1, "y": 0}],
            "start": 2,
            "end": 16,
            "easing": "in-out",
        },
        {"id": "t2", "points": [{"x": 0, "y": 0}, {"x": 1, "y": 1, "frame": 5}, {"x": 2, "y": 2}]},
    ],
}
SKETCH = {"version": 0, "width": 64, "height": 64, "frames": 5, "tracks": [[{"x": 1, "y": 2}]]}
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 5, 16, 17, 1024, 1025, 2**31, 2**63, 10**400, -(10**400)),
    *(0.5, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), -float("inf")),
    *("", "0", "cat", "t1", "x" * 5000, "a\nb", "\x1b[31m", "\ud800", "９", "NaN", "__proto__"),
    *([], {}, [[]], [{}], [1, 2], {"x": 1, "y": 2}, [0] * 3000, [[1, 2]] * 600, {"toString": 1}),
]
PIECES = ["\n", "\r", "\t", " ", ",", '"', "'", "[", "]", "{", "}", ":", "-", "e9", "NaN", "\x00"]
PIECES += ["9" * 400, "0" * 70, "\ufeff", "\u2028", "１", "\ud83d", "x,y\n", "track", "[" * 2000]


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def damaged_value(value: Any, chance: random.Random) -> Any:
    """A copy of a JSON value with one to three places in it changed."""
    result = json.loads(json.dumps({"": value}))
    for _ in range(chance.randint(1, 3)):
        places = list(_places(result))
        holder, key = chance.choice(places)
        action = chance.random()
        if action < 0.6:
            hostile = deep(chance.choice((9, 90))) if action < 0.03 else chance.choice(VALUES)
            holder[key] = copy.deepcopy(hostile)
        elif action < 0.75 and holder is not result:
            del holder[key]
        elif isinstance(holder, list):
            holder.extend([holder[key]] * chance.choice((1, 2, 600)))
        else:
            holder[str(chance.choice(VALUES))[:99]] = holder[key]
    return result[""]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def damaged_text(text: str, chance: random.Random) -> str:
    """The text with pieces taken out, put in, or moved."""
    for _ in range(chance.randint(1, 2)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 1, 80)))
        piece = chance.choice([*PIECES, *["", "0", "7", text[start:end] * 2] * 5, text[:start]])
        text = text[:start] + piece + text[end:]
    return text


def damaged_bytes(content: bytes, chance: random.Random) -> bytes:
    """The bytes with some of them changed, cut off or repeated."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 2)):
        place = chance.randrange(len(data))
        action = chance.random()
        if action < 0.7:
            data[place] = chance.choice((0, 255, data[place] ^ 1 << chance.randrange(8)))
        elif action < 0.85:
            del data[place : place + chance.choice((1, 4, 40, len(data)))]
            data = data or bytearray(b"P")
        else:
            data[place:place] = data[place : place + 60] * chance.choice((1, 9))
    return bytes(data)


def documents(seed: int, count: int) -> Iterator[tuple[str, Any]]:
    """Documents as JSON values, each with one to three places in it changed."""
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        value = chance.choice((DOCUMENT, SKETCH))
        yield f"document {seed}/{number}", damaged_value(value, chance)


def cases(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Damaged files, made from samples of every format."""
    samples = _samples()
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        sample = chance.choice(samples)
        name = f"path file {seed}/{number}"
        if isinstance(sample, bytes):
            yield name, damaged_bytes(sample, chance)
            continue
        json_like = sample.lstrip().startswith(("{", "[")) and '"' in sample
        if json_like and chance.random() < 0.5:
            text = json.dumps(damaged_value(json.loads(sample), chance))
        else:
            text = damaged_text(sample, chance)
        yield name, text.encode("utf-8", "surrogatepass")


def _samples() -> list[Content]:
    found: list[Content] = [
        case["text"] if "text" in case else base64.b64decode(case["bytes"])
        for case in json.loads(_SAMPLES.read_text(encoding="utf-8"))["read"]
        if len(case.get("text", "")) < 3000
    ]
    return found + [json.dumps(DOCUMENT), json.dumps(SKETCH)] * 10
