"""peft's LoRAs on a transformer: put in, switched off for a moment, and taken out as a `Lora`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....customization.arms import lora_targets
from ....customization.lora import Lora, LoraInfo
from ....customization.tokens import TextTokens


def check_peft() -> None:
    """Refuse to begin without peft.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        import peft  # noqa: F401
    except ImportError:
        raise ValueError(
            "customize needs peft; install it with: pip install 'comfyui-tora2[customize]'"
        ) from None


def inject(transformer: Any, infos: Sequence[LoraInfo]) -> None:
    """Put fresh LoRAs into a frozen transformer, all of which act; only they are trained.

    They begin as no change at all, as functions of torch's seed.
    """
    from peft import LoraConfig, inject_adapter_in_model

    targets = {info.method: lora_targets(transformer, info.arm) for info in infos}
    transformer.requires_grad_(False)
    for info in infos:
        config = LoraConfig(r=info.rank, lora_alpha=info.rank, target_modules=targets[info.method])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # several in one model are meant
            inject_adapter_in_model(config, transformer, info.method)
    names = [info.method for info in infos]
    for layer in _layers(transformer).values():
        layer.set_adapter([name for name in names if name in layer.lora_A])
    for info in infos:
        if info.video_only:
            _spare_text(transformer, info.method, targets[info.method])


def trained_by(transformer: Any, method: str) -> list[nn.Parameter]:
    """The parameters of one LoRA."""
    return [
        parameter
        for layer in _layers(transformer).values()
        if method in layer.lora_A
        for parameter in (layer.lora_A[method].weight, layer.lora_B[method].weight)
    ]


def extract(transformer: Any, info: LoraInfo, dtype: torch.dtype) -> Lora:
    """One LoRA as it is now, on the CPU."""

    def copied(linear: nn.Linear) -> Tensor:
        return linear.weight.detach().to("cpu", dtype, copy=True)

    return Lora(
        info,
        {
            name: (copied(layer.lora_A[info.method]), copied(layer.lora_B[info.method]))
            for name, layer in _layers(transformer).items()
            if info.method in layer.lora_A
        },
    )


@contextmanager
def switched_off(transformer: Any) -> Iterator[None]:
    """A context in which the transformer is the base model again."""
    layers = list(_layers(transformer).values())
    before = [dict(layer.scaling) for layer in layers]
    try:
        for layer in layers:
            layer.scaling = dict.fromkeys(layer.scaling, 0.0)
        yield
    finally:
        for layer, scaling in zip(layers, before, strict=True):
            layer.scaling = scaling


def _layers(transformer: Any) -> dict[str, Any]:
    """Linear layers that hold LoRAs, by their names in the transformer."""
    return {name: m for name, m in transformer.named_modules() if hasattr(m, "lora_A")}


def _spare_text(transformer: Any, method: str, targets: Sequence[str]) -> None:
    """Have a LoRA leave the text's tokens alone, for as long as the transformer lives."""
    for name in targets:
        text = TextTokens(transformer, name)
        text.__enter__()

        def video(module: Any, args: Any, out: Tensor, count: Any = text.count) -> Tensor:
            return F.pad(out[:, count() :], (0, 0, count(), 0)) if count() else out

        transformer.get_submodule(name).lora_B[method].register_forward_hook(video)
