"""What the running host is, what it has free, and where its CogVideoX still errs."""

from __future__ import annotations

import sys

import torch
from comfy import model_management
from comfy.ldm.cogvideo.model import CogVideoXPatchEmbed, CogVideoXTransformer3DModel
from comfy.model_sampling import V_PREDICTION_DDPM, ModelSamplingDiscrete
from comfy.ops import disable_weight_init
from comfyui_version import __version__

from . import corrections, video


def summary() -> list[str]:
    """Version, device and memory, a line each."""
    device = model_management.get_torch_device()
    free, total = (
        bytes / 2**30
        for bytes in (
            model_management.get_free_memory(device),
            model_management.get_total_memory(device),
        )
    )
    return [
        f"ComfyUI {__version__}, torch {torch.__version__}, Python {sys.version.split()[0]}",
        f"{model_management.get_torch_device_name(device)}: {free:.1f} of {total:.1f} GiB free",
    ]


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
