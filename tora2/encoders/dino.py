"""DINOv2 as the semantic encoder: 256 patch tokens of a 224² picture after the final norm.

Preparation and tokens are those of Video Alchemist (arXiv 2501.06187): white background, square,
bicubic, ImageNet statistics; class and register tokens are dropped. The library runs
`transformers`, ComfyUI its own model; both get their pixels and their position embeddings from
here, so that the same weights give the same tokens.
"""

import os
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .fingerprint import fingerprint
from .pictures import pad_square, resize

SIZE = 224
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def pixels(square: Tensor) -> Tensor:
    """uint8 [3, S, S] on white to float32 [3, 224, 224], normalised; other shapes are padded."""
    scaled = resize(pad_square(square).float(), (SIZE, SIZE)).clamp(0, 255) / 255
    mean, std = (torch.tensor(x).view(3, 1, 1).to(scaled) for x in (_MEAN, _STD))
    return (scaled - mean) / std


def patch_tokens(hidden: Tensor, registers: int = 0) -> Tensor:
    """Normalised last hidden state [P, 1 + registers + N, D] to its patch tokens [P, N, D]."""
    return hidden[:, 1 + registers :]


def resized_positions(positions: Tensor, patches: int, registers: int = 0) -> Tensor:
    """Position embeddings for a smaller picture, as DINOv2's own code interpolates them.

    `transformers` leaves out the offset of 0.1 patches that the models without registers were
    released with; ComfyUI keeps it.

    Args:
        positions: [1, 1 + M², D], the class token's first.
        patches: patches along a side of the picture.
        registers: register tokens of the model; with them upstream antialiases, without offset.

    Returns:
        [1, 1 + patches², D].
    """
    side = round((positions.shape[1] - 1) ** 0.5)
    if side == patches:
        return positions
    grid = positions[:, 1:].float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    if registers:
        grid = F.interpolate(grid, size=(patches, patches), mode="bicubic", antialias=True)
    else:
        scale = (patches + 0.1) / side
        grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([positions[:, :1], grid.flatten(2).mT.to(positions.dtype)], dim=1)


class DinoEncoder(nn.Module):
    """A `transformers` DINOv2 as a SemanticEncoder.

    Args:
        model: Dinov2Model or Dinov2WithRegistersModel; its position embeddings are brought to 224².
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        config: Any = model.config
        self.registers = int(getattr(config, "num_register_tokens", 0))
        self.dim = int(config.hidden_size)
        embeddings: Any = model.embeddings
        embeddings.position_embeddings = nn.Parameter(
            resized_positions(
                embeddings.position_embeddings.detach(), SIZE // config.patch_size, self.registers
            ),
            requires_grad=False,
        )
        self.model = model.eval().requires_grad_(False)
        self.key = f"dinov2-{fingerprint(model.state_dict())}"

    @torch.no_grad()
    def encode(self, square: Tensor) -> Tensor:
        """uint8 [3, S, S] on white to [256, dim], float32 on the CPU."""
        weight = next(self.parameters())
        hidden = self.model(pixels(square)[None].to(weight)).last_hidden_state
        return patch_tokens(hidden, self.registers)[0].float().cpu()


def load_dino(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> DinoEncoder:
    """Load DINOv2, with or without registers, in `transformers`' layout.

    Args:
        path: a safetensors file, or a folder with `model.safetensors`.

    Raises:
        ValueError: if there is no such file, or its tensors are not those of a DINOv2.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import (
        Dinov2Config,
        Dinov2Model,
        Dinov2WithRegistersConfig,
        Dinov2WithRegistersModel,
    )

    file = Path(path)
    file = file / "model.safetensors" if file.is_dir() else file
    if not file.is_file() or file.suffix != ".safetensors":
        raise ValueError(f"{file} is not there; expected DINOv2 weights as a safetensors file")
    try:
        state = {name.removeprefix("dinov2."): x for name, x in load_file(file).items()}
    except SafetensorError as error:
        raise ValueError(f"{file} cannot be read; expected whole DINOv2 weights") from error
    sizes = _sizes(state, file)
    if "embeddings.register_tokens" in state:
        sizes["num_register_tokens"] = state["embeddings.register_tokens"].shape[1]
        config, build = Dinov2WithRegistersConfig(**sizes), Dinov2WithRegistersModel
    else:
        config, build = Dinov2Config(**sizes), Dinov2Model
    model, info = build.from_pretrained(
        None, config=config, state_dict=state, output_loading_info=True
    )
    missing = sorted(set(info["missing_keys"]) - {"embeddings.mask_token"})
    if missing:
        raise ValueError(f"{file} lacks {missing[0]}; expected a whole DINOv2")
    return DinoEncoder(model).to(device)


def _sizes(state: dict[str, Tensor], file: Path) -> dict[str, Any]:
    patch = state.get("embeddings.patch_embeddings.projection.weight")
    positions = state.get("embeddings.position_embeddings")
    blocks = {name.split(".")[2] for name in state if name.startswith("encoder.layer.")}
    if patch is None or positions is None or not blocks:
        raise ValueError(
            f"{file} holds no DINOv2 ({len(state)} tensors, such as {min(state, default='none')}); "
            "expected facebook/dinov2-large's model.safetensors"
        )
    dim, side = patch.shape[0], round((positions.shape[1] - 1) ** 0.5)
    hidden = state.get("encoder.layer.0.mlp.fc1.weight")
    return {
        "hidden_size": dim,
        "num_hidden_layers": len(blocks),
        "num_attention_heads": dim // 64,
        "mlp_ratio": 4 if hidden is None else hidden.shape[0] // dim,
        "use_swiglu_ffn": hidden is None,
        "patch_size": patch.shape[-1],
        "image_size": side * patch.shape[-1],
    }
