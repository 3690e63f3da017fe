"""What the host's CogVideoX does otherwise than the 1.0 models were trained with, put right.

Each correction asks the running host whether it still has the error, and is a patch on a clone.
The letters tell them apart: a for positions, b for sampling, e for encoding (in `encoding.py`), f
for the text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import V_PREDICTION, ModelSamplingDiscrete
from torch import Tensor

from ...tora2.geometry import COGVIDEOX
from ...tora2.models.rotary import rotary_embedding

logger = logging.getLogger(__name__)

_TRANSFORMER = "diffusion_model."
_ROTARY = _TRANSFORMER + "_get_rotary_emb"
_USE_ROTARY = _TRANSFORMER + "use_rotary_positional_embeddings"
_EMBED = _TRANSFORMER + "patch_embed."
_EMBED_FORWARD = _EMBED + "forward"


def correct(model: ModelPatcher) -> ModelPatcher:
    """A clone of a CogVideoX-1.0 MODEL that computes what the published models compute.

    Correcting twice is correcting once.
    """
    corrected = model.clone()
    for correction in (
        _correct_rotary_grid,
        _correct_rotary_of_image_models,
        _correct_learned_position,
        _correct_text_length,
        _correct_sampling,
    ):
        correction(corrected)
    return corrected


def without_learned_position(model: ModelPatcher) -> ModelPatcher:
    """A clone that leaves out the learned position embedding of image-to-video models.

    Tora's own image-to-video code never added it.
    """
    changed = model.clone()
    changed.add_object_patch(_USE_ROTARY, True)
    changed.add_object_patch(_EMBED + "use_positional_embeddings", False)
    changed.add_object_patch(_EMBED + "use_learned_positional_embeddings", False)
    return changed


def base_grid(model: ModelPatcher) -> tuple[int, int]:
    """(height, width) in tokens that the model was trained on."""
    embed = model.get_model_object(_TRANSFORMER + "patch_embed")
    return embed.sample_height // embed.patch_size, embed.sample_width // embed.patch_size


def _correct_rotary_grid(model: ModelPatcher) -> None:
    """a1, a2: positions are multiplied by 1.875, and other sizes are not cropped from the grid."""
    base = base_grid(model)
    head_dim = model.get_model_object(_TRANSFORMER + "attention_head_dim")
    if not gives_other_positions(model.get_model_object(_ROTARY), head_dim, base):
        return

    def positions(h: int, w: int, t: int, device: Any) -> tuple[Tensor, Tensor]:
        return rotary_embedding(head_dim, t, (h, w), base, device)

    model.add_object_patch(_ROTARY, positions)


def gives_other_positions(
    method: Callable[..., tuple[Tensor, Tensor]], head_dim: int, base: tuple[int, int]
) -> bool:
    for grid in (base, (4, 6)):
        expected = rotary_embedding(head_dim, 2, grid, base, "cpu")
        got = method(*grid, 2, device=torch.device("cpu"))
        if any(not torch.allclose(a, b, atol=1e-4) for a, b in zip(expected, got, strict=True)):
            return True
    return False


def _correct_rotary_of_image_models(model: ModelPatcher) -> None:
    """a3: a learned position embedding in the file makes detection drop the rotary one."""
    if not model.get_model_object(_USE_ROTARY):
        model.add_object_patch(_USE_ROTARY, True)


def _correct_learned_position(model: ModelPatcher) -> None:
    """a4: the text's part of the learned position embedding is left out."""
    embed = model.get_model_object(_TRANSFORMER + "patch_embed")
    if not model.get_model_object(_EMBED + "use_learned_positional_embeddings"):
        return
    forward = model.get_model_object(_EMBED_FORWARD)
    if isinstance(forward, partial) and forward.func is _with_text_position:
        return
    if omits_text_position(type(embed)):
        model.add_object_patch(_EMBED_FORWARD, partial(_with_text_position, embed, forward))


def _with_text_position(
    embed: Any, forward: Callable[..., Tensor], text: Tensor, latents: Tensor
) -> Tensor:
    frames, size = latents.shape[1], (latents.shape[3], latents.shape[4])
    patches = (size[0] // embed.patch_size) * (size[1] // embed.patch_size)
    learned = embed.pos_embedding.shape[1] - embed.max_text_seq_length
    trained = (embed.sample_height, embed.sample_width)
    if size != trained or frames * patches > learned:
        raise ValueError(
            f"the clip is {COGVIDEOX.latent_words(frames, *size)} but this image-to-video model "
            "learned its positions at "
            f"{COGVIDEOX.latent_words(learned // patches, *trained)}; use that, or load it "
            "without learned positions"
        )
    joint = forward(text, latents)
    length = text.shape[1]
    joint[:, :length] += embed.pos_embedding[:, :length].to(joint)
    return joint


def omits_text_position(kind: Any) -> bool:
    """Whether a small patch embedding of the host's class ignores the position of text tokens."""
    from comfy.ops import disable_weight_init

    small = kind(
        dim=12,
        text_dim=4,
        in_channels=1,
        sample_width=4,
        sample_height=4,
        sample_frames=1,
        max_text_seq_length=2,
        dtype=torch.float32,
        operations=disable_weight_init,
    )
    for parameter in small.parameters():
        torch.nn.init.zeros_(parameter)
    small.pos_embedding.fill_(1.0)
    return not bool(small(torch.zeros(1, 2, 4), torch.zeros(1, 1, 1, 4, 4))[:, :2].all())


def _correct_text_length(model: ModelPatcher) -> None:
    """f2: prompts are not cut to the 226 tokens that the model was trained with."""
    extra_conds = model.get_model_object("extra_conds")
    if isinstance(extra_conds, partial) and extra_conds.func is _with_short_text:
        return
    length = model.get_model_object(_TRANSFORMER + "max_text_seq_length")
    probe = torch.zeros(1, length + 1, 1)
    noise = torch.zeros(1, COGVIDEOX.channels, 1, COGVIDEOX.patch, COGVIDEOX.patch)
    conds = extra_conds(cross_attn=probe, noise=noise, device="cpu")
    if conds["c_crossattn"].cond.shape[1] > length:
        model.add_object_patch("extra_conds", partial(_with_short_text, extra_conds, length))


def _with_short_text(extra_conds: Callable[..., Any], length: int, **kwargs: Any) -> Any:
    text = kwargs.get("cross_attn")
    if text is not None and text.shape[1] > length:
        logger.warning("Tora2: a prompt of %d tokens is cut to the first %d", text.shape[1], length)
        kwargs["cross_attn"] = text[:, :length]
    return extra_conds(**kwargs)


def _correct_sampling(model: ModelPatcher) -> None:
    """b1: k-samplers hand the model a noise that is scaled up but not down again."""
    if scales_noise(model.get_model_object("model_sampling")):
        model.add_object_patch("model_sampling", _Sampling(model.model.model_config, zsnr=True))


class _Sampling(ModelSamplingDiscrete, V_PREDICTION):
    """CogVideoX's schedule, with v-prediction in the scaling that the k-samplers expect."""


def scales_noise(sampling: Any) -> bool:
    sigma, noise = torch.tensor([10.0]), torch.ones(1, 1)
    noisy = sampling.noise_scaling(sigma, noise.clone(), torch.zeros(1, 1), True)
    return not torch.allclose(sampling.calculate_input(sigma, noisy), noise, rtol=1e-3)
