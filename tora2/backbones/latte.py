"""Latte of diffusers: a spatial-temporal DiT, the kind that Tora's article builds its fusers into.

Spatial and temporal blocks take turns. A layer is a pair of them: motion is fused in the temporal
block, before its attention, as Tora's article does, and personalization in the spatial one, behind
the text. The autoencoder is one of pictures, so that every frame has a latent of its own. The model
predicts the noise.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, LatteTransformer3DModel
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..checkpoints.assigning import assign
from ..checkpoints.families import LATTE as FAMILY
from ..checkpoints.families import read_family
from ..checkpoints.folders import read_transformer_weights
from ..geometry import LATTE
from . import Backbone, Prediction, Published

if TYPE_CHECKING:
    from ..conditioning import Tora2Conditioning

SHAPES: dict[str, dict[str, Any]] = {
    "Latte-1": {
        "num_attention_heads": 16,
        "attention_head_dim": 72,
        "in_channels": LATTE.channels,
        "out_channels": 2 * LATTE.channels,
        "num_layers": 28,
        "cross_attention_dim": 1152,
        "attention_bias": True,
        "sample_size": 64,
        "patch_size": LATTE.patch,
        "activation_fn": "gelu-approximate",
        "num_embeds_ada_norm": 1000,
        "norm_type": "ada_norm_single",
        "norm_elementwise_affine": False,
        "norm_eps": 1e-6,
        "caption_channels": 4096,
        "video_length": 16,
    }
}
"""The published model, as arguments of LatteTransformer3DModel."""
SCHEDULERS = {"dpm": DPMSolverMultistepScheduler, "ddim": DDIMScheduler}


class Latte:
    """See `Backbone` for what each method promises."""

    name = "latte"
    grid = LATTE
    predicts: Prediction = "epsilon"
    kind: type[nn.Module] = LatteTransformer3DModel
    timesteps = 1000
    text_field = "caption_channels"
    published = Published(
        shapes=SHAPES,
        autoencoder={
            "_class_name": "AutoencoderKL",
            "down_block_types": ["DownEncoderBlock2D"] * 4,
            "up_block_types": ["UpDecoderBlock2D"] * 4,
            "block_out_channels": [128, 256, 512, 512],
            "layers_per_block": 2,
            "scaling_factor": 0.18215,
        },
        frames=16,
        height=512,
        width=512,
        fps=8.0,
        text_tokens=120,
    )

    def reads(self, path: str | os.PathLike[str]) -> bool:
        return FAMILY.find(read_transformer_weights(path).tensors) is not None

    def read(self, path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return read_family(path, FAMILY)

    def load(
        self,
        path: str | os.PathLike[str],
        dtype: torch.dtype = torch.bfloat16,
        learned_positions: bool = True,
    ) -> LatteTransformer3DModel:
        """A transformer of diffusers' folder or its publishers' file; its positions are sines.

        Raises:
            ValueError: if there is no such transformer.
            OSError: if the file is missing or not readable.
        """
        config, tensors = self.read(path)
        with torch.device("meta"):
            transformer = LatteTransformer3DModel(**config)
        # Its tables of positions are computed, not stored: those of a model without blocks.
        tables = LatteTransformer3DModel(**{**config, "num_layers": 0})
        transformer.temp_pos_embed = tables.temp_pos_embed
        transformer.pos_embed.pos_embed = tables.pos_embed.pos_embed
        assign(transformer, tensors, Path(path), dtype)
        return transformer.eval()

    def predict(
        self,
        transformer: LatteTransformer3DModel,
        latents: Tensor,
        timestep: Tensor,
        context: Tensor,
        conditioning: "Tora2Conditioning | None" = None,
    ) -> Tensor:
        """The same operations as the transformer's own `forward`, and a call in each block.

        Of a model that also predicts its variance, that part is left out, as when sampling.

        Raises:
            ValueError: if a latent side is no multiple of the patch size, or there are more frames
                than the model knows places for.
        """
        batch, _, frames, height, width = latents.shape
        (rows, columns), patch = self.grid.tokens(height, width), self.grid.patch
        self.check_size(transformer, frames, height, width)
        video = transformer.pos_embed(rearrange(latents, "b c t h w -> (b t) c h w"))
        timestep = timestep.to(latents.device).expand(batch)
        modulation, time = transformer.adaln_single(
            timestep,
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
            batch_size=batch,
            hidden_dtype=video.dtype,
        )
        text = transformer.caption_projection(context)
        recompute = transformer.gradient_checkpointing and torch.is_grad_enabled()
        positions = transformer.temp_pos_embed[:, :frames].to(video.dtype) if frames > 1 else None
        for layer in range(self.layers(transformer)):
            for run, block, *rest in (
                (_spatial, transformer.transformer_blocks[layer], text),
                (
                    _temporal,
                    transformer.temporal_transformer_blocks[layer],
                    positions if layer == 0 else None,
                ),
            ):
                arguments = (block, layer, video, *rest, modulation, conditioning)
                if recompute:
                    video = checkpoint(run, *arguments, use_reentrant=False)
                else:
                    video = run(*arguments)

        time = time.repeat_interleave(frames, dim=0)
        shift, scale = (transformer.scale_shift_table[None] + time[:, None]).chunk(2, dim=1)
        out: Tensor = transformer.proj_out(transformer.norm_out(video) * (1 + scale) + shift)
        out = out.reshape(batch, frames, rows, columns, patch, patch, -1)
        return rearrange(out, "b t h w p q c -> b c t (h p) (w q)")[:, : self.grid.channels]

    def blocks(self, transformer: LatteTransformer3DModel) -> list[nn.Module]:
        pairs = zip(
            transformer.transformer_blocks, transformer.temporal_transformer_blocks, strict=True
        )
        return [block for pair in pairs for block in pair]

    def layers(self, transformer: LatteTransformer3DModel) -> int:
        return len(transformer.temporal_transformer_blocks)

    def check_size(
        self, transformer: LatteTransformer3DModel, frames: int, height: int, width: int
    ) -> None:
        """As many frames as it was trained with, or fewer; any sides."""
        most = transformer.config.video_length
        if frames > most:
            raise ValueError(f"the clip has {frames} frames, expected at most the model's {most}")

    def make_scheduler(self, name: str) -> Any:
        """Latte's schedule: linear betas, prediction of the noise.

        Raises:
            ValueError: if the name is not `dpm` or `ddim`.
        """
        if name not in SCHEDULERS:
            raise ValueError(
                f"scheduler {name!r} is unknown; expected one of {', '.join(SCHEDULERS)}"
            )
        own = {"clip_sample": False} if name == "ddim" else {}
        return SCHEDULERS[name](
            num_train_timesteps=self.timesteps,
            beta_start=0.0001,
            beta_end=0.02,
            beta_schedule="linear",
            prediction_type="epsilon",
            **own,
        )

    def noised(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self._alphas.to(clean.device)[timestep].view(-1, 1, 1, 1, 1)
        return alpha.sqrt() * clean + (1 - alpha).sqrt() * noise, noise

    @cached_property
    def _alphas(self) -> Tensor:
        alphas: Tensor = self.make_scheduler("ddim").alphas_cumprod
        return alphas.float()


BACKBONE: Backbone = Latte()


def _spatial(
    block: Any,
    layer: int,
    video: Tensor,
    text: Tensor,
    modulation: Tensor,
    conditioning: "Tora2Conditioning | None",
) -> Tensor:
    """A block over the tokens of each frame [B T, S, C]: attention, text, personalization."""
    clips = len(text)
    frames = len(video) // clips

    def personalized(x: Tensor) -> Tensor:
        assert conditioning is not None
        x = rearrange(x, "(b t) s c -> b (t s) c", b=clips)
        return rearrange(conditioning.attend(layer, x), "b (t s) c -> (b t) s c", t=frames)

    shift, scale, gate, *fed = _parts(block, modulation, frames)
    if conditioning is not None and not conditioning.motion_first:
        video = personalized(video)
    video = gate * block.attn1(block.norm1(video) * (1 + scale) + shift) + video
    context = text.repeat_interleave(frames, dim=0)
    video = block.attn2(video, encoder_hidden_states=context) + video
    if conditioning is not None and conditioning.motion_first:
        video = personalized(video)
    return _fed(block, video, fed)


def _temporal(
    block: Any,
    layer: int,
    video: Tensor,
    positions: Tensor | None,
    modulation: Tensor,
    conditioning: "Tora2Conditioning | None",
) -> Tensor:
    """A block over the frames of each place [B S, T, C], of tokens [B T, S, C] as they come."""
    clips, places = len(modulation), video.shape[1]
    video = rearrange(video, "(b t) s c -> (b s) t c", b=clips)
    if positions is not None:
        video = video + positions
    shift, scale, gate, *fed = _parts(block, modulation, places)
    normed = block.norm1(video) * (1 + scale) + shift
    if conditioning is not None:
        normed = rearrange(normed, "(b s) t c -> b (t s) c", b=clips)
        normed = rearrange(conditioning.modulate(layer, normed), "b (t s) c -> (b s) t c", s=places)
    video = _fed(block, gate * block.attn1(normed) + video, fed)
    return rearrange(video, "(b s) t c -> (b t) s c", b=clips)


def _parts(block: Any, modulation: Tensor, rows: int) -> tuple[Tensor, ...]:
    """Shift, scale and gate of the attention and of the feed-forward, [B rows, 1, C] each."""
    whole = modulation.repeat_interleave(rows, dim=0).unflatten(1, (6, -1))
    return (block.scale_shift_table[None] + whole).chunk(6, dim=1)


def _fed(block: Any, video: Tensor, parts: list[Tensor]) -> Tensor:
    shift, scale, gate = parts
    return gate * block.ff(block.norm2(video) * (1 + scale) + shift) + video
