"""Operations and memory of a computation, counted on tensors that have shapes and no values.

What is counted is the code that runs, so the count is a profiler's. The same meter follows real
tensors.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import (
    FlopCounterMode,
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
    shape_wrapper,
)

FORWARD, RECOMPUTATION, BACKWARD = "forward", "recomputation", "backward"
ACTIVATIONS, COPIES, GRADIENTS = "activations", "copies", "gradients"

aten = torch.ops.aten
_DEVICE = torch.ops.prim.device.default


def _attention(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(q, k, v))


def _attention_backward(gradient: Any, q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, q, k, v))


_ON_A_CPU = {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""Operations by shapes of what torch's own counter leaves out."""


def profiler() -> FlopCounterMode:
    """torch's counter of operations, which a count of ours must agree with."""
    return FlopCounterMode(display=False, custom_mapping=_ON_A_CPU)


@dataclass(frozen=True)
class Counted:
    """Floating-point operations of a call, and the bytes that were alive at its worst moment
    beyond those that were alive before it."""

    operations: int
    bytes: int


@dataclass
class Moment:
    """The most bytes that were alive at once in a part of a call.

    Attributes:
        bytes: by kind.
    """

    bytes: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.bytes.values())


class Meter(TorchDispatchMode):
    """Counts operations, and follows the storages that operations make until they are freed.

    Kernels' own workspaces are not seen; fused attention is taken to keep no scores.

    Args:
        weights: whose copies in another type are a kind of their own.

    Attributes:
        phase: what operations and bytes are counted under; a caller sets it as it goes. In
            `BACKWARD`, what is computed again is told apart.
        operations: by phase.
        moments: the peak of each phase.
    """

    def __init__(self, weights: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.phase = FORWARD
        self.operations: Counter[str] = Counter()
        self.moments: dict[str, Moment] = {}
        self._kinds: dict[str, int] = {}
        self._alive = 0
        self._known: dict[int, tuple[str, int]] = {}
        own = {call: shape_wrapper(formula) for call, formula in _ON_A_CPU.items()}
        self._formulas: dict[Any, Callable[..., int]] = {**flop_registry, **own}
        self._weights = {weight.untyped_storage()._cdata for weight in weights}

    @property
    def peak(self) -> int:
        """The most bytes that were alive at once."""
        return max((moment.total for moment in self.moments.values()), default=0)

    def is_gradient(self, tensor: Tensor) -> None:
        """Count what a tensor holds as a gradient from now on."""
        key = tensor.untyped_storage()._cdata
        kind, size = self._known.get(key, (GRADIENTS, 0))
        self._known[key] = GRADIENTS, size
        self._add(kind, -size)
        self._add(GRADIENTS, size)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is _DEVICE:
            return func(*args)
        kwargs = kwargs or {}
        # Views and in-place operations give back what their arguments hold.
        given = {x.untyped_storage()._cdata for x in tree_iter((args, kwargs)) if _is_tensor(x)}
        out = func(*args, **kwargs)
        formula = self._formulas.get(func._overloadpacket)
        if formula is not None:
            self.operations[self._now()] += formula(*args, **kwargs, out_val=out)
        kind = ACTIVATIONS
        if func is aten._to_copy.default and given <= self._weights:
            kind = COPIES
        for x in tree_iter(out):
            if _is_tensor(x):
                self._follow(x.untyped_storage(), given, kind)
        return out

    def _now(self) -> str:
        # Gradients are computed without making gradients of their own.
        again = self.phase.startswith(BACKWARD) and torch.is_grad_enabled()
        return RECOMPUTATION if again else self.phase

    def _follow(self, storage: Any, given: set[int], kind: str) -> None:
        key = storage._cdata
        if key in given or key in self._known:
            return
        size = storage.nbytes()
        self._known[key] = kind, size
        self._add(kind, size)
        weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        kind, size = self._known.pop(key)
        self._add(kind, -size)

    def _add(self, kind: str, size: int) -> None:
        self._kinds[kind] = self._kinds.get(kind, 0) + size
        self._alive += size
        moment = self.moments.setdefault(self.phase, Moment())
        if self._alive > moment.total:
            moment.bytes = dict(self._kinds)


def count(call: Callable[[], Any]) -> Counted:
    """Run `call` under a `FakeTensorMode` that is already entered, without gradients, and count."""
    meter = Meter()
    with torch.no_grad(), meter:
        call()
    return Counted(sum(meter.operations.values()), meter.peak)


@contextmanager
def shapes(gpu: bool = True) -> Iterator[None]:
    """A context in which tensors have shapes and no values.

    Where code asks for a value, all is present: every mask is true, and every number is one.
    Modules stay on the device that they were made on, which is the CPU.

    Args:
        gpu: compute in the types that a GPU's autocast takes, and with fused attention.
    """

    def stay(module: nn.Module, *_: Any, **__: Any) -> nn.Module:
        return module

    with ExitStack() as stack:
        stack.enter_context(_Shapes(allow_non_fake_inputs=True))
        stack.enter_context(_replaced(nn.Module, {"to": stay}))
        stack.enter_context(not_begun())
        if gpu:
            stack.enter_context(as_on_a_gpu())
        yield


@contextmanager
def not_begun() -> Iterator[None]:
    """A context in which parameters get no first values, which those without values need not."""

    def stay(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
        return tensor

    names = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
    with _replaced(nn.init, dict.fromkeys(names, stay)):
        yield


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """A context in which a CPU keeps what a GPU would keep: attention is fused and keeps no scores;
    under autocast the norms are computed in float32, which on a CPU they are not."""
    attention = F.scaled_dot_product_attention
    layer_norm, group_norm = F.layer_norm, F.group_norm

    def fused(*args: Any, **kwargs: Any) -> Tensor:
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            return attention(*args, **kwargs)

    def precise(norm: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(*args: Any, **kwargs: Any) -> Tensor:
            if not torch.is_autocast_enabled("cpu"):
                return norm(*args, **kwargs)
            with torch.autocast("cpu", enabled=False):
                return norm(*map(_float, args), **{k: _float(v) for k, v in kwargs.items()})

        return run

    changed = {
        "scaled_dot_product_attention": fused,
        "layer_norm": precise(layer_norm),
        "group_norm": precise(group_norm),
    }
    with _replaced(F, changed):
        yield


class _Shapes(FakeTensorMode):
    """Answers questions about values, which tensors of shapes alone do not have."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is _DEVICE and isinstance(args[0], FakeTensor):  # the most frequent question
            return args[0].fake_device
        if func is aten._local_scalar_dense.default:
            return _one(args[0].dtype)
        if func is aten.nonzero.default:
            return args[0].new_empty((args[0].numel(), args[0].ndim), dtype=torch.int64)
        if func is aten.index.Tensor:
            places: list[Tensor | None] = []
            for index in args[1]:
                if index is None or index.dtype != torch.bool:
                    places.append(index)
                else:
                    rows = index.new_empty(index.numel(), dtype=torch.int64)
                    places += [rows] * index.ndim
            args = (args[0], places)
        return super().__torch_dispatch__(func, types, args, kwargs or {})


def _one(dtype: torch.dtype) -> bool | int | float:
    if dtype == torch.bool:
        return True
    return 1.0 if dtype.is_floating_point else 1


def _float(x: Any) -> Any:
    return x.float() if _is_tensor(x) and x.is_floating_point() else x


@contextmanager
def _replaced(owner: Any, changed: Mapping[str, Any]) -> Iterator[None]:
    before = {name: getattr(owner, name) for name in changed}
    for name, value in changed.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, Tensor)
