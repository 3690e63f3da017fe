"""The library host: diffusers' CogVideoX transformer with Tora2's two calls in every block."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers import CogVideoXTransformer3DModel
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .checkpoints import read_transformer
from .checkpoints.assigning import assign
from .checkpoints.cogvideox_keys import POSITIONS
from .models.rotary import crop_region

if TYPE_CHECKING:
    from .conditioning import Tora2Conditioning


def load_transformer(
    path: str | os.PathLike[str],
    dtype: torch.dtype = torch.bfloat16,
    learned_positions: bool = True,
) -> CogVideoXTransformer3DModel:
    """Load a CogVideoX-1.0 transformer from any public layout.

    Weights that are stored in `dtype` stay mapped from disk; others are cast, fp8 included.

    Args:
        path: what `tora2.checkpoints.read_transformer` reads: a diffusers folder or shards, a
            single file in diffusers, ComfyUI or SAT names, or SAT's `.pt`.
        dtype: of the parameters.
        learned_positions: keep the learned position embedding of image-to-video models. They were
            trained with it, so it stays by default. Tora's own image-to-video code leaves it out;
            without it the model takes other sizes than the one it was trained at.

    Returns:
        The transformer on the CPU, in evaluation mode.

    Raises:
        ValueError: if there is no such transformer, or it is CogVideoX-1.5's or 2B's.
        OSError: if the file is missing or not readable.
    """
    config, tensors = read_transformer(path)
    if not learned_positions and tensors.pop(POSITIONS, None) is not None:
        config["use_learned_positional_embeddings"] = False
    with torch.device("meta"):
        transformer = CogVideoXTransformer3DModel(**config)
    assign(transformer, tensors, Path(path), dtype)
    return transformer.eval()


def rotary_embedding(
    transformer: CogVideoXTransformer3DModel, frames: int, grid: tuple[int, int]
) -> tuple[Tensor, Tensor] | None:
    """CogVideoX-1.0's rotary embedding of a token grid.

    A grid of another size than the one the model was trained on is resized to cover it and
    centred, as upstream does.

    Args:
        transformer: gives the trained size and the head width.
        frames: latent frames.
        grid: (height, width) in tokens.

    Returns:
        Cosines and sines [T * H * W, head_dim], or None for a model without rotary embedding.
    """
    config = transformer.config
    if not config.use_rotary_positional_embeddings:
        return None
    base = config.sample_height // config.patch_size, config.sample_width // config.patch_size
    cos, sin = get_3d_rotary_pos_embed(
        embed_dim=config.attention_head_dim,
        crops_coords=crop_region(grid, base),
        grid_size=grid,
        temporal_size=frames,
        device=transformer.device,
    )
    return cos, sin


def predict(
    transformer: CogVideoXTransformer3DModel,
    latents: Tensor,
    timestep: Tensor,
    context: Tensor,
    conditioning: "Tora2Conditioning | None" = None,
) -> Tensor:
    """The transformer's raw output, with the conditions of a clip if there are any.

    With `conditioning` None it runs the same operations as the transformer's own `forward`.

    Args:
        transformer: a CogVideoX-1.0 model.
        latents: [B, C, T, H, W] noisy latents; for image-to-video models the image latents are
            already concatenated along C.
        timestep: scalar or [B].
        context: [B, L, text_dim] text-encoder output.
        conditioning: of B' clips, B a multiple of B' with the guidance halves outermost.

    Returns:
        [B, out_channels, T, H, W]; v for CogVideoX.

    Raises:
        ValueError: if the model is a CogVideoX-1.5 one, a latent side is no multiple of the patch
            size, or an image-to-video model learned its positions at other sides.
    """
    config = transformer.config
    if config.patch_size_t is not None:
        raise ValueError(
            "this is a CogVideoX-1.5 transformer (patch_size_t is set); Tora2 needs CogVideoX-1.0"
        )
    batch, _, frames, height, width = latents.shape
    patch = config.patch_size
    if height % patch or width % patch:
        raise ValueError(
            f"latents are {width}x{height}; expected sides that are multiples of {patch}"
        )
    grid = height // patch, width // patch
    timestep = timestep.to(latents.device).expand(batch)
    embedding = transformer.time_proj(timestep).to(latents.dtype)
    embedding = transformer.time_embedding(embedding, None)
    rotary = rotary_embedding(transformer, frames, grid)

    tokens = transformer.patch_embed(context, latents.transpose(1, 2))
    tokens = transformer.embedding_dropout(tokens)
    text, video = tokens[:, : context.shape[1]], tokens[:, context.shape[1] :]
    del tokens  # else the first block's input would live through all of them
    recompute = transformer.gradient_checkpointing and torch.is_grad_enabled()
    for layer in range(len(transformer.transformer_blocks)):
        arguments = (transformer, layer, video, text, embedding, rotary, conditioning)
        if recompute:
            video, text = checkpoint(_block, *arguments, use_reentrant=False)
        else:
            video, text = _block(*arguments)

    video = transformer.norm_out(transformer.norm_final(video), temb=embedding)
    out: Tensor = transformer.proj_out(video)
    out = out.reshape(batch, frames, *grid, -1, patch, patch)
    return out.permute(0, 4, 1, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


def check_positions(transformer: CogVideoXTransformer3DModel, latent: Sequence[int]) -> None:
    """Refuse a clip of another size than an image-to-video model learned its positions at.

    At other sides diffusers refuses as well; for other lengths it would put sines in place of what
    was learned, which the model has never seen.

    Args:
        transformer: any; one without learned positions takes every size.
        latent: (frames, height, width) of the clip's latents.

    Raises:
        ValueError: says the sizes, and that the model can be loaded without learned positions.
    """
    config = transformer.config
    if not config.use_learned_positional_embeddings:
        return
    frames, height, width = latent
    length = (config.sample_frames - 1) // config.temporal_compression_ratio + 1
    trained = (length, config.sample_height, config.sample_width)
    if (frames, height, width) != trained:
        raise ValueError(
            f"the clip is {width * 8}x{height * 8} with {4 * frames - 3} frames but this "
            f"image-to-video model learned its positions at {trained[2] * 8}x{trained[1] * 8} with "
            f"{4 * length - 3}; use that, or load it without learned positions"
        )


def _block(
    transformer: CogVideoXTransformer3DModel,
    layer: int,
    video: Tensor,
    text: Tensor,
    embedding: Tensor,
    rotary: tuple[Tensor, Tensor] | None,
    conditioning: "Tora2Conditioning | None",
) -> tuple[Tensor, Tensor]:
    """One CogVideoX block: motion, text, personalization (or personalization first)."""
    block = transformer.transformer_blocks[layer]
    if conditioning is not None and not conditioning.motion_first:
        video = conditioning.attend(layer, video)
    normed, normed_text, gate, gate_text = block.norm1(video, text, embedding)
    if conditioning is not None:
        normed = conditioning.modulate(layer, normed)
    attended, attended_text = block.attn1(
        hidden_states=normed, encoder_hidden_states=normed_text, image_rotary_emb=rotary
    )
    video = video + gate * attended
    text = text + gate_text * attended_text
    del attended, attended_text  # the feed-forward is where memory peaks
    if conditioning is not None and conditioning.motion_first:
        video = conditioning.attend(layer, video)
    normed, normed_text, gate, gate_text = block.norm2(video, text, embedding)
    normed = torch.cat([normed_text, normed], dim=1)
    fed = block.ff(normed)
    video = video + gate * fed[:, text.shape[1] :]
    text = text + gate_text * fed[:, : text.shape[1]]
    return video, text
