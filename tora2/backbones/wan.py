"""Wan 2.1 text-to-video (1.3B and 14B) of diffusers, with Tora2's two calls in every block.

Wan predicts the flow from a clip to noise. A timestep is a thousand times the noise's share. Text
comes in by a cross-attention of its own, behind the self-attention that the fuser modulates;
personalization follows it, so that the order is motion, text, personalization as elsewhere.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
    WanTransformer3DModel,
)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..checkpoints.assigning import assign
from ..checkpoints.families import WAN as FAMILY
from ..checkpoints.families import read_family
from ..checkpoints.folders import read_transformer_weights
from ..geometry import WAN
from . import Backbone, Prediction, Published

if TYPE_CHECKING:
    from ..conditioning import Tora2Conditioning

_SAME = {"attention_head_dim": 128, "text_dim": 4096}
SHAPES: dict[str, dict[str, Any]] = {
    "Wan2.1-T2V-1.3B": {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
    "Wan2.1-T2V-14B": {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40},
}
"""What differs between the published models, as arguments of WanTransformer3DModel."""
SHIFT = 5.0
"""Of the noise levels that sampling visits, as published for 720p; they crowd at the noisy end."""
SCHEDULERS = ("dpm", "unipc", "euler")


class Wan:
    """See `Backbone` for what each method promises."""

    name = "wan"
    grid = WAN
    predicts: Prediction = "flow"
    kind: type[nn.Module] = WanTransformer3DModel
    timesteps = 1000
    text_field = "text_dim"
    published = Published(
        shapes={name: {**_SAME, **shape} for name, shape in SHAPES.items()},
        autoencoder={"_class_name": "AutoencoderKLWan"},
        frames=81,
        height=480,
        width=832,
        fps=16.0,
        text_tokens=512,
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
    ) -> WanTransformer3DModel:
        """A transformer in diffusers' or the publishers' names; Wan learns no positions.

        Raises:
            ValueError: if there is no such transformer, or it is another of Wan's models.
            OSError: if the file is missing or not readable.
        """
        config, tensors = self.read(path)
        with torch.device("meta"):
            transformer = WanTransformer3DModel(**config)
        transformer.rope = type(transformer.rope)(  # its buffers are computed, not stored
            config["attention_head_dim"], config["patch_size"], transformer.config.rope_max_seq_len
        )
        assign(transformer, tensors, Path(path), dtype)
        return transformer.eval()

    def predict(
        self,
        transformer: WanTransformer3DModel,
        latents: Tensor,
        timestep: Tensor,
        context: Tensor,
        conditioning: "Tora2Conditioning | None" = None,
    ) -> Tensor:
        """The same operations as the transformer's own `forward`, and the two calls in each block.

        Raises:
            ValueError: if a latent side is no multiple of the patch size.
        """
        batch, _, frames, height, width = latents.shape
        grid, patch = self.grid.tokens(height, width), self.grid.patch
        rotary = transformer.rope(latents)
        video = transformer.patch_embedding(latents).flatten(2).transpose(1, 2).contiguous()
        timestep = timestep.to(latents.device).expand(batch)
        time, modulation, text, _ = transformer.condition_embedder(timestep, context, None)
        modulation = modulation.unflatten(1, (6, -1))
        recompute = transformer.gradient_checkpointing and torch.is_grad_enabled()
        for layer, block in enumerate(self.blocks(transformer)):
            arguments = (block, layer, video, text, modulation, rotary, conditioning)
            if recompute:
                video = checkpoint(_run, *arguments, use_reentrant=False)
            else:
                video = _run(*arguments)

        shift, scale = (transformer.scale_shift_table + time[:, None]).chunk(2, dim=1)
        video = (transformer.norm_out(video.float()) * (1 + scale) + shift).type_as(video)
        out: Tensor = transformer.proj_out(video)
        out = out.reshape(batch, frames, *grid, patch, patch, -1)
        return out.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)

    def blocks(self, transformer: WanTransformer3DModel) -> list[nn.Module]:
        return list(transformer.blocks)

    def layers(self, transformer: WanTransformer3DModel) -> int:
        return len(transformer.blocks)

    def check_size(
        self, transformer: WanTransformer3DModel, frames: int, height: int, width: int
    ) -> None:
        """Any length and sides that its rotary table reaches."""
        most = transformer.config.rope_max_seq_len
        if max(frames, *self.grid.tokens(height, width)) > most:
            raise ValueError(
                f"the clip is {self.grid.latent_words(frames, height, width)}, expected at most "
                f"{most} latent frames, and tokens along a side"
            )

    def make_scheduler(self, name: str) -> Any:
        """Flow matching over shifted noise levels.

        Raises:
            ValueError: if the name is not `dpm`, `unipc` or `euler`.
        """
        if name not in SCHEDULERS:
            raise ValueError(
                f"scheduler {name!r} is unknown; expected one of {', '.join(SCHEDULERS)}"
            )
        if name == "euler":
            return FlowMatchEulerDiscreteScheduler(self.timesteps, shift=SHIFT)
        kind = DPMSolverMultistepScheduler if name == "dpm" else UniPCMultistepScheduler
        return kind(
            self.timesteps,
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            flow_shift=SHIFT,
        )

    def noised(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        share = (timestep / self.timesteps).to(clean).view(-1, 1, 1, 1, 1)
        return torch.lerp(clean, noise, share), noise - clean


BACKBONE: Backbone = Wan()


def _run(
    block: Any,
    layer: int,
    video: Tensor,
    text: Tensor,
    modulation: Tensor,
    rotary: tuple[Tensor, Tensor],
    conditioning: "Tora2Conditioning | None",
) -> Tensor:
    """One block: motion, text, personalization (or personalization first)."""
    parts = (block.scale_shift_table + modulation.float()).chunk(6, dim=1)
    shift, scale, gate, fed_shift, fed_scale, fed_gate = parts
    if conditioning is not None and not conditioning.motion_first:
        video = conditioning.attend(layer, video)
    normed = (block.norm1(video.float()) * (1 + scale) + shift).type_as(video)
    if conditioning is not None:
        normed = conditioning.modulate(layer, normed)
    attended = block.attn1(normed, None, None, rotary)
    video = (video.float() + attended * gate).type_as(video)
    normed = block.norm2(video.float()).type_as(video)
    video = video + block.attn2(normed, text, None, None)
    if conditioning is not None and conditioning.motion_first:
        video = conditioning.attend(layer, video)
    normed = (block.norm3(video.float()) * (1 + fed_scale) + fed_shift).type_as(video)
    fed = block.ffn(normed)
    return (video.float() + fed.float() * fed_gate).type_as(video)
