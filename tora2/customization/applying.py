"""LoRAs at work on a transformer: beside its weights, at a strength that follows the schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..scene import Window
from .lora import Lora
from .tokens import TextTokens


class AppliedLoras:
    """A context in which LoRAs change what a transformer's layers give; its weights stay.

    Args:
        transformer: of diffusers.
        loras: each with its strength over the sampling; see `phased`.

    Raises:
        ValueError: if a LoRA was made for another transformer.
    """

    def __init__(self, transformer: Any, loras: Sequence[tuple[Lora, Window]]) -> None:
        self.transformer, self.loras = transformer, list(loras)
        self._strengths = [window.at(0.0) for _, window in loras]
        self._hooks = ExitStack()
        for lora, _ in self.loras:
            check_lora(lora, dict(transformer.named_modules()))

    def at(self, progress: float) -> None:
        """Take the strengths of a part of the sampling, in [0, 1)."""
        self._strengths = [window.at(progress) for _, window in self.loras]

    def __enter__(self) -> AppliedLoras:
        try:
            for index, (lora, _) in enumerate(self.loras):
                for name, (down, up) in lora.layers.items():
                    self._apply(index, lora.info.video_only, name, down, up)
        except BaseException:
            self._hooks.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hooks.close()

    def _apply(self, index: int, video_only: bool, name: str, down: Tensor, up: Tensor) -> None:
        layer = self.transformer.get_submodule(name)
        weight = layer.weight
        down, up = (one.to(weight.device, weight.dtype) for one in (down, up))
        text: Callable[[], int] = lambda: 0  # noqa: E731
        if video_only:
            text = self._hooks.enter_context(TextTokens(self.transformer, name)).count

        def change(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
            strength = self._strengths[index]
            if strength == 0:
                return out
            return out + strength * low_rank(args[0], down, up, text())

        self._hooks.callback(layer.register_forward_hook(change).remove)


def low_rank(x: Tensor, down: Tensor, up: Tensor, text: int = 0) -> Tensor:
    """B A x [B, L, out] of tokens x [B, L, in], zero at the first `text` of them."""
    delta = F.linear(F.linear(x.to(down.dtype), down), up)
    if text:
        delta = F.pad(delta[:, text:], (0, 0, text, 0))
    return delta


def check_lora(lora: Lora, modules: dict[str, Any]) -> None:
    """Refuse a LoRA whose layers a model lacks, or has in other sizes, with a ValueError."""
    for name, (down, up) in lora.layers.items():
        layer = modules.get(name)
        weight = getattr(layer, "weight", None)
        made = (up.shape[0], down.shape[1])
        if weight is None or tuple(weight.shape) != made:
            there = "none" if weight is None else "x".join(map(str, weight.shape))
            raise ValueError(
                f"the LoRA was made for {lora.info.base}: its layer {name} is "
                f"{'x'.join(map(str, made))}, but this model has {there} there"
            )
