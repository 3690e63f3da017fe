"""What the running host is, what it has free, and where its CogVideoX still errs."""

from __future__ import annotations

import folder_paths
import torch
from comfy import model_management
from comfy.ldm.cogvideo.model import CogVideoXPatchEmbed, CogVideoXTransformer3DModel
from comfy.model_sampling import V_PREDICTION_DDPM, ModelSamplingDiscrete
from comfy.ops import disable_weight_init
from comfyui_version import __version__

from ...tora2.doctor import Device
from . import corrections, video


def version() -> str:
    """The host's, with where its models are, in words."""
    return f"ComfyUI {__version__}, models in {folder_paths.models_dir}"


def device() -> Device:
    """What the host computes on. Models that it holds count as free: it makes room for others."""
    chosen = model_management.get_torch_device()
    cpu = torch.device("cpu")
    # The host forgets a model that nobody uses any more only at its next loading.
    held = sum(
        model.model_loaded_memory()
        for model in model_management.current_loaded_models
        if model.model is not None and model.device == chosen
    )
    return Device(
        model_management.get_torch_device_name(chosen),
        getattr(chosen, "type", "privateuseone"),  # DirectML's devices have no type
        int(model_management.get_free_memory(chosen)) + held,
        int(model_management.get_total_memory(chosen)),
        int(model_management.get_free_memory(cpu)),
        int(model_management.get_total_memory(cpu)),
    )


def errors() -> dict[str, bool]:
    """For each correction of a 1.0 model, whether this host still needs it."""
    small = CogVideoXTransformer3DModel(
        num_attention_heads=1,
        num_layers=1,
        time_embed_dim=8,
        text_embed_dim=8,
        use_rotary_positional_embeddings=True,
        operations=disable_weight_init,
    )

    class Sampling(ModelSamplingDiscrete, V_PREDICTION_DDPM):
        pass

    return {
        "rotary positions": corrections.gives_other_positions(small._get_rotary_emb, 64, (30, 45)),
        "learned positions": corrections.omits_text_position(CogVideoXPatchEmbed),
        "sampling": corrections.scales_noise(Sampling(zsnr=True)),
        "video encoding": video.loses_its_cache(),
    }
