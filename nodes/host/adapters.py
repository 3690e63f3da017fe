"""An adapter under the host's memory management."""

from __future__ import annotations

from typing import Any

import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher

from ...tora2.models.adapter import Tora2Adapter


class AdapterModel(torch.nn.Module):
    """What the patcher holds: the host writes attributes of its own onto its models."""

    def __init__(self, adapter: Tora2Adapter) -> None:
        super().__init__()
        self.adapter = adapter


class AdapterPatcher(ModelPatcher):
    """Loads an adapter whole or not at all: its layers are plain torch ones, which cannot stream.

    It is a small part of what the transformer needs, so that streaming would gain little.
    """

    def load(
        self,
        device_to: Any = None,
        lowvram_model_memory: float = 0,
        force_patch_weights: bool = False,
        full_load: bool = False,
    ) -> None:
        super().load(device_to, 0, force_patch_weights, full_load=True)

    def partially_unload(
        self, device_to: Any, memory_to_free: float = 0, force_patch_weights: bool = False
    ) -> int:
        return 0


def manage(adapter: Tora2Adapter) -> AdapterPatcher:
    """A patcher that keeps the adapter off the device until a run needs it."""
    return AdapterPatcher(
        AdapterModel(adapter.eval().requires_grad_(False)),
        load_device=model_management.get_torch_device(),
        offload_device=model_management.unet_offload_device(),
    )


def load_adapter_model(adapter: Tora2Adapter) -> AdapterPatcher:
    """As `manage`, in the floating-point type that the host computes with."""
    parameters = sum(p.numel() for p in adapter.parameters())
    dtype = model_management.unet_dtype(
        model_params=parameters,
        supported_dtypes=[torch.bfloat16, torch.float16, torch.float32],
    )
    return manage(adapter.to(dtype))


def on_device(patcher: ModelPatcher, memory: float = 0) -> Tora2Adapter:
    """The adapter on the device that it computes on."""
    model_management.load_models_gpu([patcher], memory_required=memory)
    return patcher.model.adapter
