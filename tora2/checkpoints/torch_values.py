"""The values of a torch pickle, as far as they are of use: tensors, by where their numbers lie."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import torch

from ..fields import show

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


def check_name(name: str) -> None:
    """Refuse a class or function that is no plain data of torch's or of a training run.

    Raises:
        Forbidden: names it.
    """
    known = name in _BESIDE or name == _DICTIONARY or name.startswith(_REBUILD)
    if not known and not _STORAGE.fullmatch(name) and _dtype(name) is None:
        raise Forbidden(name)


def stored(reference: object) -> Stored:
    """The storage that a persistent id stands for.

    Raises:
        ValueError: if it is none that torch writes.
    """
    match reference:
        case ("storage", Named(name), str(key), str(), int(count)):
            kind = _STORAGE.fullmatch(name)
            if kind is not None:
                return Stored(key, _STORED_AS.get(kind[1]), count)
    raise ValueError("a reference that torch does not write")


def _dtype(name: str) -> torch.dtype | None:
    module, _, word = name.rpartition(".")
    kind = getattr(torch, word, None) if module == "torch" and word.isidentifier() else None
    return kind if isinstance(kind, torch.dtype) else None


def built(name: str, arguments: tuple[Any, ...]) -> object:
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
        raise ValueError(f"a tensor of shape {show(shape)}")
    return UNPLAIN if dtype is None else Described(stored, dtype, offset, shape, stride)
