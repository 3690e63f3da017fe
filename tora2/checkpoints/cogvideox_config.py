"""The sizes of a CogVideoX-1.0 transformer, from its tensors and its config.json."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..fields import integer, number, show
from ..geometry import COGVIDEOX
from ..models.config import PRESETS

HEAD_DIM = 64
CHANNELS, BLOCKS = PRESETS["5b"].dim, PRESETS["5b"].layers
"""Of CogVideoX-5B, which the published parts fit."""
TEXT_TO_VIDEO, IMAGE_TO_VIDEO = "text-to-video", "image-to-video"
MAX_PATCH = 16

_TASKS = {COGVIDEOX.channels: TEXT_TO_VIDEO, 2 * COGVIDEOX.channels: IMAGE_TO_VIDEO}

# What no tensor tells, as published with CogVideoX-5B.
_PUBLISHED: dict[str, object] = {
    "attention_head_dim": HEAD_DIM,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "sample_width": 90,
    "sample_height": 60,
    "sample_frames": 49,
    "temporal_compression_ratio": COGVIDEOX.temporal,
    "max_text_seq_length": 226,
    "norm_eps": 1e-5,
    "use_rotary_positional_embeddings": True,
}
_SIZES = ("sample_width", "sample_height", "sample_frames", "max_text_seq_length")


def task_of(in_channels: int) -> str:
    """What a transformer of so many input channels makes; a first frame comes beside the noise."""
    return _TASKS.get(in_channels, f"a task with {in_channels} input channels")


def transformer_config(
    tensors: Mapping[str, Tensor], config: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The arguments of diffusers' CogVideoXTransformer3DModel.

    Args:
        tensors: under diffusers' names.
        config: the content of config.json, which tells the trained size; None takes CogVideoX-5B's
            (90 x 60 latents, 49 frames).

    Raises:
        ValueError: if the sizes are no CogVideoX-1.0's, or the configuration contradicts them.
    """
    projection = tensors["patch_embed.proj.weight"]
    modulation = tensors["transformer_blocks.0.norm1.linear.weight"]
    text = tensors["patch_embed.text_proj.weight"]
    output = tensors["proj_out.weight"]
    for name, tensor, ndim in (
        ("patch_embed.proj", projection, 4),
        ("norm1.linear", modulation, 2),
        ("patch_embed.text_proj", text, 2),
        ("proj_out", output, 2),
    ):
        if tensor.ndim != ndim or 0 in tensor.shape:
            raise ValueError(
                f"{name}.weight has the shape {tuple(tensor.shape)}, expected {ndim} dimensions"
            )
    dim, in_channels, patch = projection.shape[:3]
    if dim % HEAD_DIM:
        raise ValueError(f"the transformer has {dim} channels, expected a multiple of {HEAD_DIM}")
    if patch > MAX_PATCH or output.shape[0] < patch**2:
        raise ValueError(
            f"the transformer has patches of {patch} cells and {output.shape[0]} channels for "
            f"each, expected patches of at most {MAX_PATCH} and a channel for each of their cells"
        )
    layers = {name.split(".")[1] for name in tensors if name.startswith("transformer_blocks.")}
    return {
        **_PUBLISHED,
        **_trained_sizes(config or {}),
        "num_attention_heads": dim // HEAD_DIM,
        "in_channels": in_channels,
        "out_channels": output.shape[0] // patch**2,
        "time_embed_dim": modulation.shape[1],
        "text_embed_dim": text.shape[1],
        "num_layers": len(layers),
        "patch_size": patch,
        "use_learned_positional_embeddings": "patch_embed.pos_embedding" in tensors,
    }


def _trained_sizes(config: Mapping[str, object]) -> dict[str, object]:
    """What config.json adds to the tensors."""
    if config.get("patch_size_t") is not None:
        raise ValueError(
            f"config.json has patch_size_t {show(config['patch_size_t'])}, as CogVideoX-1.5 does; "
            "Tora needs CogVideoX-1.0 (5B)"
        )
    if config.get("use_rotary_positional_embeddings") is False:
        raise ValueError(
            "config.json has no rotary positions, as CogVideoX-2B does; Tora needs CogVideoX-5B"
        )
    if config.get("attention_head_dim", HEAD_DIM) != HEAD_DIM:
        heads = show(config["attention_head_dim"])
        raise ValueError(f"config.json has heads of {heads} channels, expected {HEAD_DIM}")
    sizes: dict[str, object] = {
        name: integer(config[name], f"config.json: {name}", 1, 4096)
        for name in _SIZES
        if name in config
    }
    if "norm_eps" in config:
        sizes["norm_eps"] = number(config["norm_eps"], "config.json: norm_eps", 0, 1)
    return sizes
