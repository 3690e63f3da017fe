"""Operations and memory of a computation, counted on tensors that have shapes and no values."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@dataclass(frozen=True)
class Counted:
    """Floating-point operations of a call, and the bytes that were alive at its worst moment
    beyond those that were alive before it."""

    operations: int
    bytes: int


def count(call: Callable[[], Any]) -> Counted:
    """Run `call` under a `FakeTensorMode` that is already entered, and count.

    Kernels' own workspaces are not seen; fused attention is taken to keep no scores.
    """
    attention = {_CPU_ATTENTION: lambda q, k, v, *_, out_shape=None, **__: sdpa_flop_count(q, k, v)}
    operations = FlopCounterMode(display=False, custom_mapping=attention)
    memory = _Alive()
    with torch.no_grad(), operations, memory:
        call()
    return Counted(operations.get_total_flops(), memory.peak)


class _Alive(TorchDispatchMode):
    """Follows the storages that operations make, until they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._alive = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Views and in-place operations give back what their arguments hold.
        given = {x.untyped_storage()._cdata for x in tree_iter((args, kwargs)) if _is_tensor(x)}
        out = func(*args, **(kwargs or {}))
        for x in tree_iter(out):
            if _is_tensor(x):
                self._follow(x.untyped_storage(), given)
        return out

    def _follow(self, storage: Any, given: set[int]) -> None:
        key = storage._cdata
        if key in given or key in self._known:
            return
        size = storage.nbytes()
        self._known.add(key)
        self._alive += size
        self.peak = max(self.peak, self._alive)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._alive -= size


def _is_tensor(x: Any) -> bool:
    return isinstance(x, torch.Tensor)
