"""Read untrusted JSON: each function checks one value and names its path when it is refused."""

from __future__ import annotations

import json
import math
import reprlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .files import regular_file

MAX_CONTAINERS = 1_000_000
"""Objects and lists in one JSON text; each takes up to 80 times the memory of its characters."""


class _Shortener(reprlib.Repr):
    """A `repr` of bounded depth, length and cost."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() > 200:  # repr() itself refuses integers of thousands of digits
            return f"an integer of {x.bit_length()} bits"
        return super().repr_int(x, level)

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x[: self.maxother])

    repr_bytearray = repr_bytes


def show(value: object) -> str:
    """A value for an error message, at most 60 characters."""
    text = _Shortener().repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def plain(text: str, limit: int = 120) -> str:
    """A text out of a file for one line of a report, without quotes.

    Args:
        text: such as a tensor's name or a note in metadata; it may hold anything.
        limit: most characters that are shown; three of them are dots where the text was longer.

    Returns:
        The text itself if it is short and can be printed; control characters, line breaks, lone
        surrogates and direction marks stand as their escapes.
    """
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def child(path: str, key: str) -> str:
    """The path of `key` inside `path`, which is empty at the root."""
    return f"{path}.{key}" if path else key


def refuse(path: str, value: object, expected: str) -> ValueError:
    """The error for a value that is not what was expected."""
    return ValueError(f"{path or 'the document'} is {show(value)}, expected {expected}")


def load_json(text: str | bytes, name: str, limit: int) -> object:
    """Parse JSON text, with NaN and Infinity kept as floats for the caller's checks to name.

    Args:
        text: JSON, as `str` or UTF-8 bytes with or without a byte order mark.
        name: what the text is, for messages ("a trajectory document").
        limit: most characters (or bytes) that are looked at at all.

    Raises:
        ValueError: if the text is too long, not UTF-8, not JSON, nested too deeply, has more than
            `MAX_CONTAINERS` objects and lists, or repeats a key within one object.
    """
    if len(text) > limit:
        raise ValueError(f"{name} of {len(text)} characters is too long, expected at most {limit}")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        containers = decoded.count("{") + decoded.count("[")
        if containers > MAX_CONTAINERS:
            raise ValueError(
                f"{name} has {containers} objects and lists, expected at most {MAX_CONTAINERS}"
            )
        return json.loads(
            decoded.removeprefix("\ufeff"), parse_int=_bounded_int, object_pairs_hook=_unique
        )
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{name} is not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply to be read") from None


def load_json_file(path: Path, limit: int) -> object:
    """`load_json` of a file, of which no more than `limit` bytes are read.

    Raises:
        ValueError: as `load_json`, naming the file; and if it is no regular file.
        OSError: if the file is missing or not readable.
    """
    with regular_file(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path} has more than {limit} bytes, expected at most that many")
    return load_json(content, str(path), limit)


def _bounded_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= 300 else float(digits)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {show(key)} occurs twice in one JSON object, expected once")
        result[key] = value
    return result


def mapping(
    value: object, path: str, required: Iterable[str], optional: Iterable[str] = ()
) -> Mapping[str, object]:
    """An object with exactly the known keys."""
    if not isinstance(value, Mapping):
        raise refuse(path, value, "an object")
    known = (*required, *optional)
    name = path or "the document"
    for key in value:
        if key not in known:
            raise ValueError(f"{name} has the unknown key {show(key)}, expected {', '.join(known)}")
    for key in required:
        if key not in value:
            raise ValueError(f"{name} has no key {key!r}, expected {', '.join(known)}")
    return value


def sequence(value: object, path: str, low: int, high: int) -> Sequence[object]:
    """A list of `low` to `high` items."""
    if not isinstance(value, list | tuple):
        raise refuse(path, value, "a list")
    if not low <= len(value) <= high:
        raise ValueError(f"{path} has {len(value)} items, expected {low} to {high}")
    return value


def integer(value: object, path: str, low: int, high: int) -> int:
    """An integer from `low` to `high`; a bool or a float is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise refuse(path, value, f"an integer from {low} to {high}")
    return value


def number(value: object, path: str, low: float, high: float) -> float:
    """A finite number from `low` to `high`, as float; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise refuse(path, value, f"a number from {low:g} to {high:g}")
    return float(value)


def finite(value: object, path: str) -> float:
    """Any finite number, as float; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(path, value, "a number")
    if (isinstance(value, int) and value.bit_length() > 1000) or not math.isfinite(value):
        raise refuse(path, value, "a finite number")
    return float(value)


def text(value: object, path: str, high: int, low: int = 1, lines: bool = False) -> str:
    """A string of `low` to `high` characters; with `lines` it may hold tabs and line breaks."""
    if not isinstance(value, str) or not low <= len(value) <= high:
        raise refuse(path, value, f"a text of {low} to {high} characters")
    allowed = "\t\n\r" if lines else ""
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in allowed for c in value):
        raise refuse(path, value, "a text without control characters")
    return value


def choice(value: object, path: str, options: Sequence[str]) -> str:
    """One of `options`."""
    if not isinstance(value, str) or value not in options:
        raise refuse(path, value, f"one of {', '.join(options)}")
    return value
