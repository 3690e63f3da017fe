"""What a torch pickle describes, read without unpickling: nothing is called, hashed or allocated.

A pickle is a program for a small stack machine. This one knows the instructions that torch writes
and gives them no effect but to note what would have been built. Of all that could be built, only
tensors, lists, tuples, dictionaries, texts and numbers are kept; whatever else a training run
leaves is noted as `OTHER`, and a name that is not known refuses the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NoReturn

from .torch_values import OTHER, Forbidden, Items, Named, built, check_name, stored

MAX_STEPS = 500_000


def describe(content: bytes) -> object:
    """What a pickle would build.

    Args:
        content: of the record `data.pkl`.

    Returns:
        A text, number, list, tuple, None, `Items`, `Described`, `UNPLAIN`, `OTHER`, or a part of
        one; lists may hold themselves.

    Raises:
        Forbidden: if it names an object that is no plain data.
        ValueError: if it is damaged, or longer than any state dict needs.
    """
    machine = _Machine(content)
    for _ in range(MAX_STEPS):
        code = machine.take(1)[0]
        if code == 0x2E:  # STOP
            return machine.pop()
        step = _STEPS.get(code)
        if step is None:
            raise ValueError(f"instruction {code:#04x} at byte {machine.at - 1}")
        step(machine)
    raise ValueError(f"more than {MAX_STEPS} instructions")


class _Machine:
    """The stack, its marks, the memo, and a place in the program."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        piece = self.content[self.at : self.at + count]
        if len(piece) != count:
            raise ValueError("the pickle ends early")
        self.at += count
        return piece

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = self.content.find(b"\n", self.at, self.at + 300)
        if end < 0:
            raise ValueError(f"a name without end at byte {self.at}")
        return self.take(end + 1 - self.at)[:-1].decode("utf-8")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError(f"nothing on the stack at byte {self.at}")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError(f"no mark at byte {self.at}")
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def top(self) -> Any:
        value = self.pop()
        self.stack.append(value)
        return value

    def put(self, key: int) -> None:
        self.memo[key] = self.top()

    def get(self, key: int) -> None:
        if key not in self.memo:
            raise ValueError(f"memo {key} is empty at byte {self.at}")
        self.push(self.memo[key])

    def join(self, count: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def name(self, name: str) -> None:
        check_name(name)
        self.push(Named(name))

    def stack_name(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError(f"a name that is no text at byte {self.at}")
        self.name(f"{module}.{name}")

    def set_items(self, values: list[Any]) -> None:
        target = self.top()
        if len(values) % 2 or not (isinstance(target, Items) or target is OTHER):
            raise ValueError(f"items of no dictionary at byte {self.at}")
        if isinstance(target, Items):
            target.pairs += zip(values[::2], values[1::2], strict=True)

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target += values
        elif target is not OTHER:
            raise ValueError(f"items of no list at byte {self.at}")

    def call(self, arguments: Any, function: Any) -> None:
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise ValueError(f"a call of no function at byte {self.at}")
        self.push(built(function.name, arguments))


def _forbid(machine: _Machine) -> NoReturn:
    raise Forbidden("copyreg extension")


def _bytes(layout: str) -> Callable[[_Machine], None]:
    """Bytes, of which only that they are some is kept."""

    def step(machine: _Machine) -> None:
        machine.take(machine.number(layout))
        machine.push(OTHER)

    return step


def _text(layout: str) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.push(machine.take(machine.number(layout)).decode("utf-8", "surrogatepass"))

    return step


def _long(layout: str) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.push(int.from_bytes(machine.take(machine.number(layout)), "little", signed=True))

    return step


def _pushes(value: object) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(value)


def _reduce(m: _Machine) -> None:
    m.call(m.pop(), m.pop())


def _new_with_keywords(m: _Machine) -> None:
    m.pop()
    m.call(m.pop(), m.pop())


def _dictionary(m: _Machine) -> None:
    values = m.pop_to_mark()
    m.push(Items())
    m.set_items(values)


def _frozen_set(m: _Machine) -> None:
    m.pop_to_mark()
    m.push(OTHER)


def _set_item(m: _Machine) -> None:
    value, key = m.pop(), m.pop()
    m.set_items([key, value])


_STEPS: dict[int, Callable[[_Machine], object]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("0"): lambda m: m.pop(),
    ord("1"): lambda m: m.pop_to_mark(),
    ord("2"): lambda m: m.push(m.top()),
    ord("N"): _pushes(None),
    0x88: _pushes(True),
    0x89: _pushes(False),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    ord("G"): lambda m: m.push(m.number(">d")),
    0x8A: _long("<B"),
    0x8B: _long("<I"),
    ord("X"): _text("<I"),
    0x8C: _text("<B"),
    0x8D: _text("<Q"),
    ord("T"): _text("<I"),
    ord("U"): _text("<B"),
    ord("B"): _bytes("<I"),
    ord("C"): _bytes("<B"),
    0x8E: _bytes("<Q"),
    0x96: _bytes("<Q"),
    ord(")"): _pushes(()),
    ord("t"): lambda m: m.push(tuple(m.pop_to_mark())),
    0x85: lambda m: m.join(1),
    0x86: lambda m: m.join(2),
    0x87: lambda m: m.join(3),
    ord("]"): lambda m: m.push([]),
    ord("l"): lambda m: m.push(m.pop_to_mark()),
    ord("a"): lambda m: m.append([m.pop()]),
    ord("e"): lambda m: m.append(m.pop_to_mark()),
    0x8F: _pushes(OTHER),  # EMPTY_SET
    0x90: lambda m: m.pop_to_mark(),  # ADDITEMS
    0x91: _frozen_set,
    ord("}"): lambda m: m.push(Items()),
    ord("d"): _dictionary,
    ord("s"): _set_item,
    ord("u"): lambda m: m.set_items(m.pop_to_mark()),
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    0x94: lambda m: m.put(len(m.memo)),
    ord("h"): lambda m: m.get(m.number("<B")),
    ord("j"): lambda m: m.get(m.number("<I")),
    ord("c"): lambda m: m.name(f"{m.line()}.{m.line()}"),
    0x93: lambda m: m.stack_name(),
    ord("Q"): lambda m: m.push(stored(m.pop())),
    ord("R"): _reduce,
    0x81: _reduce,  # NEWOBJ
    0x92: _new_with_keywords,
    ord("b"): lambda m: m.pop(),  # BUILD
    0x82: _forbid,
    0x83: _forbid,
    0x84: _forbid,
}
