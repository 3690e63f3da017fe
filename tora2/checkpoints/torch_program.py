"""What a torch pickle describes, read without unpickling: nothing is called, hashed or allocated.

A pickle is a program for a small stack machine. This one knows the instructions that torch writes
and gives them no effect but to note what would have been built. Of all that could be built, only
tensors, lists, tuples, dictionaries, texts and numbers are kept; whatever else a training run
leaves is noted as `OTHER`, and a name that is not known refuses the file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch

from ..fields import plain

MAX_STEPS = 500_000

OTHER = object()
"""Something that is no plain value and of no use here."""
UNPLAIN = object()
"""A tensor without a plain array of values: sparse, quantised, nested, or on no device."""


class Forbidden(ValueError):
    """The pickle names an object that could run code."""


@dataclass(frozen=True)
class Named:
    """A class or function, by its name alone."""

    name: str


@dataclass(frozen=True)
class Stored:
    """The bytes of a tensor: their record in the archive, and what they count as."""

    key: str
    dtype: torch.dtype | None
    count: int


@dataclass(frozen=True)
class Described:
    """A tensor: a strided view of stored values; `offset` and `stride` count values."""

    stored: Stored
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(eq=False)
class Items:
    """A dictionary that was never hashed, as keys may be made to collide."""

    pairs: list[tuple[object, object]] = field(default_factory=list)

    def texts(self) -> dict[str, object]:
        """The entries under texts."""
        return {key: value for key, value in self.pairs if isinstance(key, str)}


# SAT writes the state of numpy's random generator, DeepSpeed its own bookkeeping.
_BESIDE = frozenset(
    {
        *(
            f"numpy.{core}.{name}"
            for core in ("core", "_core")
            for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
        ),
        *(
            f"{builtins}.{name}"
            for builtins in ("__builtin__", "builtins")
            for name in ("set", "frozenset", "bytes", "bytearray", "complex")
        ),
        "_codecs.encode",
        "argparse.Namespace",
        "collections.Counter",
        "collections.defaultdict",
        "deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler",
        "deepspeed.runtime.fp16.loss_scaler.LossScaler",
        "deepspeed.runtime.zero.config.ZeroStageEnum",
        "deepspeed.utils.tensor_fragment.fragment_address",
        "numpy.dtype",
        "numpy.ndarray",
        "torch.Size",
        "torch.Tensor",
        "torch._tensor._rebuild_from_type_v2",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
    }
)
_DICTIONARY = "collections.OrderedDict"
_REBUILD = "torch._utils._rebuild_"
_STORAGE = re.compile(r"torch\.(?:storage\.)?(\w+)Storage")
_STORED_AS = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}


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
        known = name in _BESIDE or name == _DICTIONARY or name.startswith(_REBUILD)
        if not known and not _STORAGE.fullmatch(name) and _dtype(name) is None:
            raise Forbidden(name)
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
        self.push(_built(function.name, arguments))

    def stored(self, key: Any) -> None:
        match key:
            case ("storage", Named(name), str(record), str(), int(count)):
                kind = _STORAGE.fullmatch(name)
                if kind is None:
                    raise ValueError(f"values of no storage at byte {self.at}")
                self.push(Stored(record, _STORED_AS.get(kind[1]), count))
            case _:
                raise ValueError(f"a reference that torch does not write at byte {self.at}")


def _dtype(name: str) -> torch.dtype | None:
    module, _, word = name.rpartition(".")
    kind = getattr(torch, word, None) if module == "torch" and word.isidentifier() else None
    return kind if isinstance(kind, torch.dtype) else None


def _built(name: str, arguments: tuple[Any, ...]) -> object:
    """What a call would have given."""
    if name == _DICTIONARY:
        return Items()
    match name.removeprefix(_REBUILD), arguments:
        case (
            "tensor" | "tensor_v2",
            (Stored() as stored, int(offset), tuple(shape), tuple(stride), *_),
        ):
            return _tensor(stored, stored.dtype, offset, shape, stride)
        case (
            "tensor_v3",
            (Stored() as stored, int(offset), tuple(shape), tuple(stride), _, _, Named(kind), *_),
        ):
            return _tensor(stored, _dtype(kind), offset, shape, stride)
        case "parameter" | "parameter_with_state", (Described() as tensor, *_):
            return tensor
    return UNPLAIN if name.startswith((_REBUILD, "torch._tensor.")) else OTHER


def _tensor(
    stored: Stored,
    dtype: torch.dtype | None,
    offset: int,
    shape: tuple[Any, ...],
    stride: tuple[Any, ...],
) -> object:
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or any(type(x) is not int or x < 0 for x in numbers):
        raise ValueError(f"a tensor of shape {plain(repr(shape[:20]))}")
    return UNPLAIN if dtype is None else Described(stored, dtype, offset, shape, stride)


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
    ord("Q"): lambda m: m.stored(m.pop()),
    ord("R"): _reduce,
    0x81: _reduce,  # NEWOBJ
    0x92: _new_with_keywords,
    ord("b"): lambda m: m.pop(),  # BUILD
    0x82: _forbid,
    0x83: _forbid,
    0x84: _forbid,
}
