"""CogVideoX-1.0 (5B, text- and image-to-video) of diffusers, with Tora2's two calls in every block.

The bundled model and Tora's own transformers are of the same kind.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler, CogVideoXTransformer3DModel
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..checkpoints import read_transformer
from ..checkpoints.assigning import assign
from ..checkpoints.cogvideox_config import BLOCKS, CHANNELS, HEAD_DIM
from ..checkpoints.cogvideox_keys import POSITIONS, find_transformer
from ..checkpoints.folders import read_transformer_weights
from ..geometry import COGVIDEOX
from ..models.config import Tora2Config
from ..models.rotary import crop_region
from . import Backbone, Prediction, Published

if TYPE_CHECKING:
    from ..conditioning import Tora2Conditioning

SCHEDULERS = {"dpm": CogVideoXDPMScheduler, "ddim": CogVideoXDDIMScheduler}


class CogVideoX:
    """See `Backbone` for what each method promises."""

    name = "cogvideox"
    grid = COGVIDEOX
    predicts: Prediction = "v"
    kind: type[nn.Module] = CogVideoXTransformer3DModel
    timesteps = 1000
    text_field = "text_embed_dim"
    published = Published(
        shapes={
            "CogVideoX-5B": {
                "num_attention_heads": CHANNELS // HEAD_DIM,
                "attention_head_dim": HEAD_DIM,
                "num_layers": BLOCKS,
                "text_embed_dim": Tora2Config().word_dim,
                "use_rotary_positional_embeddings": True,
            }
        },
        autoencoder={"_class_name": "AutoencoderKLCogVideoX", "scaling_factor": 0.7},
        frames=49,
        height=480,
        width=720,
        fps=8.0,
        text_tokens=226,
    )

    def reads(self, path: str | os.PathLike[str]) -> bool:
        return find_transformer(read_transformer_weights(path).tensors) is not None

    def read(self, path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return read_transformer(path)

    def load(
        self,
        path: str | os.PathLike[str],
        dtype: torch.dtype = torch.bfloat16,
        learned_positions: bool = True,
    ) -> CogVideoXTransformer3DModel:
        """A transformer from any public layout.

        Weights that are stored in `dtype` stay mapped from disk; others are cast, fp8 included.

        Args:
            path: what `tora2.checkpoints.read_transformer` reads: a diffusers folder or shards, a
                single file in diffusers, ComfyUI or SAT names, or SAT's `.pt`.
            dtype: of the parameters.
            learned_positions: keep the learned position embedding of image-to-video models. They
                were trained with it, so it stays by default. Tora's own image-to-video code leaves
                it out; without it the model takes other sizes than the one it was trained at.

        Raises:
            ValueError: if there is no such transformer, or it is CogVideoX-1.5's or 2B's.
            OSError: if the file is missing or not readable.
        """
        config, tensors = self.read(path)
        if not learned_positions and tensors.pop(POSITIONS, None) is not None:
            config["use_learned_positional_embeddings"] = False
        with torch.device("meta"):
            transformer = CogVideoXTransformer3DModel(**config)
        self._check(transformer)
        assign(transformer, tensors, Path(path), dtype)
        return transformer.eval()

    def predict(
        self,
        transformer: CogVideoXTransformer3DModel,
        latents: Tensor,
        timestep: Tensor,
        context: Tensor,
        conditioning: "Tora2Conditioning | None" = None,
    ) -> Tensor:
        """The same operations as the transformer's own `forward`, and the two calls in each block.

        Raises:
            ValueError: if the model is a CogVideoX-1.5 one, a latent side is no multiple of the
                patch size, or an image-to-video model learned its positions at other sides.
        """
        self._check(transformer)
        batch, _, frames, height, width = latents.shape
        grid, patch = self.grid.tokens(height, width), self.grid.patch
        timestep = timestep.to(latents.device).expand(batch)
        embedding = transformer.time_proj(timestep).to(latents.dtype)
        embedding = transformer.time_embedding(embedding, None)
        rotary = rotary_embedding(transformer, frames, grid)

        tokens = transformer.patch_embed(context, latents.transpose(1, 2))
        tokens = transformer.embedding_dropout(tokens)
        text, video = tokens[:, : context.shape[1]], tokens[:, context.shape[1] :]
        del tokens  # else the first block's input would live through all of them
        recompute = transformer.gradient_checkpointing and torch.is_grad_enabled()
        for layer, block in enumerate(self.blocks(transformer)):
            arguments = (block, layer, video, text, embedding, rotary, conditioning)
            if recompute:
                video, text = checkpoint(_run, *arguments, use_reentrant=False)
            else:
                video, text = _run(*arguments)

        video = transformer.norm_out(transformer.norm_final(video), temb=embedding)
        out: Tensor = transformer.proj_out(video)
        out = out.reshape(batch, frames, *grid, -1, patch, patch)
        return out.permute(0, 4, 1, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)

    def blocks(self, transformer: CogVideoXTransformer3DModel) -> list[nn.Module]:
        return list(transformer.transformer_blocks)

    def layers(self, transformer: CogVideoXTransformer3DModel) -> int:
        return len(transformer.transformer_blocks)

    def check_size(
        self, transformer: CogVideoXTransformer3DModel, frames: int, height: int, width: int
    ) -> None:
        """Refuse a clip of another size than an image-to-video model learned its positions at.

        At other sides diffusers refuses as well; for other lengths it would put sines in place of
        what was learned, which the model has never seen.
        """
        config = transformer.config
        if not config.use_learned_positional_embeddings:
            return
        length = self.grid.latent_frames(config.sample_frames)
        trained = (length, config.sample_height, config.sample_width)
        if (frames, height, width) != trained:
            raise ValueError(
                f"the clip is {self.grid.latent_words(frames, height, width)} but this "
                "image-to-video model learned its positions at "
                f"{self.grid.latent_words(*trained)}; use that, or load it without learned "
                "positions"
            )

    def make_scheduler(self, name: str) -> Any:
        """CogVideoX-5B's schedule: scaled-linear betas, zero terminal SNR, trailing, v-prediction.

        Raises:
            ValueError: if the name is not `dpm` or `ddim`.
        """
        if name not in SCHEDULERS:
            raise ValueError(
                f"scheduler {name!r} is unknown; expected one of {', '.join(SCHEDULERS)}"
            )
        return SCHEDULERS[name](
            num_train_timesteps=self.timesteps,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            set_alpha_to_one=True,
            snr_shift_scale=1.0,
            timestep_spacing="trailing",
        )

    def noised(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self._alphas.to(clean.device)[timestep].view(-1, 1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        return noisy, alpha.sqrt() * noise - (1 - alpha).sqrt() * clean

    @cached_property
    def _alphas(self) -> Tensor:
        alphas: Tensor = self.make_scheduler("ddim").alphas_cumprod
        return alphas.float()

    def _check(self, transformer: CogVideoXTransformer3DModel) -> None:
        config = transformer.config
        if config.patch_size_t is not None:
            raise ValueError(
                "this is a CogVideoX-1.5 transformer (patch_size_t is set); "
                "Tora2 needs CogVideoX-1.0"
            )
        if config.patch_size != self.grid.patch:
            raise ValueError(
                f"the transformer's patch_size is {config.patch_size}, expected {self.grid.patch}"
            )


BACKBONE: Backbone = CogVideoX()


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


def _run(
    block: Any,
    layer: int,
    video: Tensor,
    text: Tensor,
    embedding: Tensor,
    rotary: tuple[Tensor, Tensor] | None,
    conditioning: "Tora2Conditioning | None",
) -> tuple[Tensor, Tensor]:
    """One block: motion, text, personalization (or personalization first)."""
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
