"""Loading and running a transformer of whichever backbone it is; see `tora2.backbones`."""

import os
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .backbones import backbone_for, backbone_of

if TYPE_CHECKING:
    from .conditioning import Tora2Conditioning


def load_transformer(
    path: str | os.PathLike[str],
    dtype: torch.dtype = torch.bfloat16,
    learned_positions: bool = True,
) -> Any:
    """Load a transformer from any public layout.

    Args:
        path: a folder or a file; which model it is, is told by its tensors.
        dtype: of the parameters.
        learned_positions: keep the learned position embedding of image-to-video models, see
            `tora2.backbones.cogvideox`.

    Returns:
        The transformer on the CPU, in evaluation mode: diffusers' CogVideoXTransformer3DModel for
        CogVideoX.

    Raises:
        ValueError: if there is no transformer of a known backbone.
        OSError: if the file is missing or not readable.
    """
    return backbone_for(path).load(path, dtype, learned_positions)


def predict(
    transformer: Any,
    latents: Tensor,
    timestep: Tensor,
    context: Tensor,
    conditioning: "Tora2Conditioning | None" = None,
) -> Tensor:
    """The transformer's raw output, with the conditions of a clip if there are any.

    With `conditioning` None it runs the same operations as the transformer's own `forward`.

    Args:
        transformer: of a known backbone.
        latents: [B, C, T, H, W] noisy latents; for image-to-video models the image latents are
            already concatenated along C.
        timestep: scalar or [B].
        context: [B, L, text_dim] text-encoder output.
        conditioning: of B' clips, B a multiple of B' with the guidance halves outermost.

    Returns:
        [B, out_channels, T, H, W]; v for CogVideoX.

    Raises:
        ValueError: if the transformer or the latents' sides do not suit the backbone.
    """
    backbone = backbone_of(transformer)
    return backbone.predict(transformer, latents, timestep, context, conditioning)
