"""LoRAs beside the weights of a host's MODEL, at a strength that follows the schedule.

The host's own loader adds a LoRA to the weights, once and for all tokens. These stand beside them,
so that they may begin and end within a sampling, leave the text alone, and be told apart by a
guider that runs the model with one of them at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP

from ...tora2.checkpoints.lora_keys import host_name
from ...tora2.customization.applying import check_lora, low_rank
from ...tora2.customization.lora import Lora
from ...tora2.geometry import COGVIDEOX
from .windows import Window, strength_at

KEY = "tora2_loras"
BRANCH = "tora2_branch"
"""In the transformer options: the method whose LoRAs alone act in one run."""


def attach(model: ModelPatcher, lora: Lora, window: Window) -> ModelPatcher:
    """A clone of `model` in which a LoRA acts; `model` itself stays as it is.

    Raises:
        ValueError: if the LoRA was made for another model.
    """
    modules = dict(model.model.named_modules())
    check_lora(lora, {layer: modules.get(host_name(layer)) for layer in lora.layers})
    patched = model.clone()
    beside = Beside(lora, window)
    for layer in lora.layers:
        name = host_name(layer) + ".forward"
        patched.add_object_patch(
            name, beside.forward(layer, modules[host_name(layer)], patched.object_patches.get(name))
        )
    patched.add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, beside.run)
    patched.add_callback_with_key(CallbacksMP.ON_PRE_RUN, KEY, beside.place)
    patched.add_callback_with_key(CallbacksMP.ON_CLEANUP, KEY, beside.release)
    return patched


def methods(model: ModelPatcher) -> set[str]:
    """What the LoRAs that stand beside a MODEL's weights were made to learn."""
    wrappers = model.get_wrappers(WrappersMP.APPLY_MODEL, KEY)
    return {one.__self__.lora.info.method for one in wrappers}


class Beside:
    """What one loader node adds to a MODEL and to the clones made of it."""

    def __init__(self, lora: Lora, window: Window) -> None:
        self.lora, self.window = lora, window
        self.strength = 0.0
        self._video = 0
        self._placed: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def place(self, patcher: ModelPatcher) -> None:
        """Move the matrices to the device that the model runs on, once a run."""
        device, dtype = patcher.load_device, patcher.model_dtype()
        dtype = dtype if dtype in (torch.float16, torch.bfloat16, torch.float32) else torch.bfloat16
        self._placed = {
            layer: (down.to(device, dtype), up.to(device, dtype))
            for layer, (down, up) in self.lora.layers.items()
        }

    def release(self, patcher: ModelPatcher) -> None:
        """Let go of all that was placed."""
        self._placed = {}

    def run(
        self,
        executor: Any,
        x: torch.Tensor,
        sigma: torch.Tensor,
        c_concat: Any,
        c_crossattn: Any,
        control: Any,
        transformer_options: dict[str, Any],
        **kwargs: Any,
    ) -> torch.Tensor:
        """The host's apply_model with the strength of this noise level in place."""
        model = executor.class_obj
        branch = transformer_options.get(BRANCH)
        acts = branch in (None, self.lora.info.method)
        level = float(sigma.max())
        self.strength = strength_at(self.window, level, model.model_sampling) if acts else 0.0
        rows, columns = (-(-side // COGVIDEOX.patch) for side in x.shape[-2:])  # padded
        self._video = x.shape[2] * rows * columns
        try:
            return executor(x, sigma, c_concat, c_crossattn, control, transformer_options, **kwargs)
        finally:
            self.strength = 0.0

    def forward(
        self, layer: str, module: torch.nn.Module, previous: Callable[..., Any] | None
    ) -> Callable[..., Any]:
        """A layer's forward with the LoRA beside it."""
        original = previous or type(module).forward.__get__(module)

        def forward(x: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
            out = original(x, *rest, **options)
            if self.strength == 0 or layer not in self._placed:
                return out
            text = x.shape[1] - self._video if self.lora.info.video_only else 0
            return out + self.strength * low_rank(x, *self._placed[layer], text).to(out.dtype)

        return forward
