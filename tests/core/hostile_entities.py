"""Entity files with wrong values, wrong tensors and damage; a function of the seed alone."""

import json
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

Case = tuple[str, bytes]
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "U8": 1, "I64": 8}
_VALUES: tuple[object, ...] = (
    None,
    True,
    -5,
    1e308,
    10**400,
    float("nan"),
    float("-inf"),
    "",
    "\x1b[2J\n",
    "\ud800",
    "x" * 5000,
    [],
    [[]],
    {},
    {"a": 1},
    ["face"] * 9,
    [{}] * 3,
    "[" * 100,
)


def cases(seed: int, count: int) -> Iterator[Case]:
    """(what it is, the file's bytes), `count` of them."""
    draw = random.Random(seed)
    for i in range(count):
        make = _MAKERS[i % len(_MAKERS)]
        name = make.__name__.strip("_")
        yield f"{name} {seed}/{i}", make(draw)


def packed(tensors: dict[str, tuple[str, list[int]]], metadata: dict[str, str]) -> bytes:
    """A safetensors file of zeros: its tensors as (dtype, shape)."""
    header: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for name, (kind, shape) in tensors.items():
        size = _SIZES[kind]
        for n in shape:
            size *= n
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def parts() -> tuple[dict[str, tuple[str, list[int]]], dict[str, Any]]:
    """A whole entity of two pictures: its tensors, and its description."""
    tensors: dict[str, tuple[str, list[int]]] = {"preview": ("U8", [2, 3, 224, 224])}
    for i in range(2):
        tensors[f"pictures.{i}.semantic"] = ("F32", [4, 8])
        tensors[f"pictures.{i}.prior"] = ("F16", [6])
    routing = {"branch": "face", "box": [0, 0, 9, 9.5], "score": 0.5, "reason": "A.", "face": None}
    return tensors, {
        "word": "cat",
        "name": "",
        "strength": 1.0,
        "branches": ["face", "object"],
        "routings": [routing, {**routing, "score": None}],
    }


def whole(tensors: dict[str, tuple[str, list[int]]], described: object, **metadata: str) -> bytes:
    """A file of these parts."""
    said = {"format": "tora2-entity", "version": "1", "entity": json.dumps(described)}
    return packed(tensors, {**said, **metadata})


def _good(draw: random.Random) -> bytes:
    return whole(*parts())


def _value(draw: random.Random) -> bytes:
    tensors, described = parts()
    place = draw.choice((described, described["routings"][0]))
    place[draw.choice([*place, "other"])] = draw.choice(_VALUES)
    return whole(tensors, described)


def _lacking(draw: random.Random) -> bytes:
    tensors, described = parts()
    for place in (described, tensors):
        del place[draw.choice([*place])]
    return whole(tensors, described)


def _tensor(draw: random.Random) -> bytes:
    tensors, described = parts()
    shape = draw.choice(([], [0], [4, 0], [0, 4], [2, 1, 224, 224], [2, 7, 9, 9], [9], [5000, 3]))
    tensors[draw.choice([*tensors])] = (draw.choice([*_SIZES]), shape)
    return whole(tensors, described)


def _metadata(draw: random.Random) -> bytes:
    tensors, described = parts()
    key = draw.choice(("format", "version", "entity"))
    text = draw.choice(("", "2", "[" * 100_000, "{" * 9, '{"a":1,"a":2}', "null", "\x1b" * 99))
    return whole(tensors, described, **{key: text})


def _bare(draw: random.Random) -> bytes:
    return packed({}, {}) if draw.random() < 0.5 else packed(parts()[0], {"format": "lora"})


def _flipped(draw: random.Random) -> bytes:
    data = bytearray(_good(draw))
    for _ in range(draw.randrange(1, 5)):
        data[draw.randrange(900)] = draw.randrange(256)
    return bytes(data)


def _cut(draw: random.Random) -> bytes:
    return _good(draw)[: draw.choice((0, 4, 8, 300, 5000))]


def _length(draw: random.Random) -> bytes:
    data = _good(draw)
    return struct.pack("<Q", draw.choice((0, 1, 2**31, 2**63, 2**64 - 1))) + data[8:]


_MAKERS: tuple[Callable[[random.Random], bytes], ...] = (
    _good,
    _value,
    _value,
    _lacking,
    _tensor,
    _tensor,
    _metadata,
    _bare,
    _flipped,
    _cut,
    _length,
)
