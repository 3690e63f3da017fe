"""Settings: a YAML file of bounded size read into dataclasses, unknown keys refused.

A field's type says what is taken: `int`, `float`, `str`, `bool`, `X | None`, `tuple[X, ...]`,
`dict[str, Any]`, `Literal`, another dataclass, and numbers in bounds as
`Annotated[int, Within(1, 64)]`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from .fields import show
from .files import read_bounded

T = TypeVar("T")

MAX_BYTES = 1 << 16
MAX_DEPTH = 16
MAX_TEXT = 4096
MAX_INTEGER = 2**63


@dataclass(frozen=True)
class Within:
    """Bounds of a number, both allowed; written as `Annotated[int, Within(1, 64)]`."""

    low: float
    high: float


def load(kind: type[T], path: Path | str) -> T:
    """Read a YAML file into a dataclass.

    Raises:
        ValueError: names the file and the key that is unknown or whose value cannot be taken.
        OSError: if it cannot be read.
    """
    values = read_yaml(path)
    try:
        return read(kind, values)
    except ValueError as error:
        raise ValueError(f"configuration {str(path)!r}: {error}") from None


def read_yaml(path: Path | str) -> Any:
    """The value of a YAML file of plain mappings, lists, texts and numbers.

    Aliases and tags are refused: a few hundred bytes of aliases stand for gigabytes.

    Raises:
        ValueError: names the file, and the line where it is not such YAML.
        OSError: if it cannot be read.
    """
    name = f"configuration {str(path)!r}"
    try:
        content = read_bounded(path, MAX_BYTES)
    except FileNotFoundError:
        raise ValueError(f"{name} does not exist") from None
    try:
        return yaml.load(content.decode("utf-8-sig"), _PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f" in line {mark.line + 1}"
        reason = " ".join(str(error.problem or error.context).split())[:200]
        raise ValueError(f"{name} is not YAML: {reason}{place}") from None
    except (yaml.YAMLError, ValueError) as error:  # UnicodeDecodeError is a ValueError
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{name} is not YAML: {reason}") from None


def read(kind: type[T], values: Any, where: str = "") -> T:
    """A dataclass from a mapping, field by field and strict about keys and types.

    Args:
        kind: the dataclass.
        values: a mapping; values that are already what a field takes are kept.
        where: the path of `values` with a dot at its end, for messages; empty at the root.

    Raises:
        ValueError: names the key and what was expected.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{_name(where)} is {show(values)}; expected a mapping")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            path = where + key if isinstance(key, str) else key
            names = ", ".join(sorted(known))
            raise ValueError(f"key {show(path)} is unknown; expected some of {names}")
    hints = get_type_hints(kind, include_extras=True)
    parsed = {key: _value(hints[key], value, where + key) for key, value in values.items()}
    try:
        return kind(**parsed)
    except TypeError:  # the only fault that is left: a field without a default
        missing = [
            name
            for name, field in known.items()
            if name not in parsed and field.default is MISSING and field.default_factory is MISSING
        ]
        raise ValueError(f"{_name(where)} has no key {missing[0]!r}") from None


def changed(value: T, changes: Any, where: str = "") -> T:
    """A dataclass with some fields changed; a mapping changes some fields of a nested one.

    Raises:
        ValueError: as `read`.
    """
    if not isinstance(changes, Mapping):
        raise ValueError(f"{_name(where)} is {show(changes)}; expected a mapping")
    values = dict(vars(value))
    for key, change in changes.items():
        current = values.get(key) if isinstance(key, str) else None
        if is_dataclass(current) and not isinstance(current, type):
            change = changed(current, change, f"{where}{key}.")
        elif isinstance(current, dict) and isinstance(change, Mapping):
            change = {**current, **change}
        values[key] = change
    return read(type(value), values, where)


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, tags, repeated keys and deep nesting."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse(event, "anchors and aliases are not taken, expected every value in full")
        if event.tag is not None and event.tag != "!":
            self._refuse(event, f"the tag {show(event.tag)} is not taken, expected plain values")
        if self.depth == MAX_DEPTH:
            self._refuse(event, f"it is nested more than {MAX_DEPTH} deep")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                self._refuse(key, f"the key {show(key.value)} occurs twice, expected once")
            seen.add(str(key.value) if isinstance(key, yaml.ScalarNode) else "")
        return super().construct_mapping(node, deep)

    @staticmethod
    def _refuse(place: Any, problem: str) -> None:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return value if isinstance(value, kind) else read(kind, value, where + ".")
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _within(_value(inner[0], value, where), inner[1], where)
    if origin is Literal:
        if isinstance(value, str) and value in inner:
            return value
        raise _refusal(where, value, f"one of {', '.join(map(str, inner))}")
    if kind is float and type(value) in (int, float):
        return _finite(value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _refusal(where, value, "a list")
        if inner[-1] is Ellipsis:
            return tuple(_value(inner[0], item, where) for item in value)
        if len(inner) == len(value):
            return tuple(_value(k, v, where) for k, v in zip(inner, value, strict=True))
        raise _refusal(where, value, f"{len(inner)} values")
    if origin is dict:
        if not isinstance(value, dict):
            raise _refusal(where, value, "a mapping")
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"key {where!r} has the key {show(key)}; expected a text")
        return value
    bounded = [option for option in inner if get_origin(option) is Annotated]
    if bounded:  # `Annotated[…] | None`
        return None if value is None else _value(bounded[0], value, where)
    allowed = inner or (kind,)
    if any(type(value) is option for option in allowed):
        return _plain(value, where)
    names = " or ".join(getattr(option, "__name__", str(option)) for option in allowed)
    raise _refusal(where, value, names)


def _plain(value: Any, where: str) -> Any:
    """A text that may name a file, or an integer that fits a machine's."""
    if isinstance(value, str) and not (0 < len(value) <= MAX_TEXT and value.isprintable()):
        raise _refusal(where, value, f"a printable text of 1 to {MAX_TEXT} characters")
    if type(value) is int and abs(value) >= MAX_INTEGER:
        raise _refusal(where, value, "an integer below 2 to the 63")
    return value


def _finite(value: float, where: str) -> float:
    if isinstance(value, int):
        _plain(value, where)
    if not math.isfinite(value):
        raise _refusal(where, value, "a finite number")
    return float(value)


def _within(value: Any, bounds: Within, where: str) -> Any:
    if not bounds.low <= value <= bounds.high:
        raise _refusal(where, value, f"a number from {bounds.low:g} to {bounds.high:g}")
    return value


def _refusal(where: str, value: Any, expected: str) -> ValueError:
    return ValueError(f"key {where!r} is {show(value)}; expected {expected}")


def _name(where: str) -> str:
    return repr(where[:-1]) if where else "the file"
