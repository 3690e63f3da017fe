"""The frozen video model, and the adapter before training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from ....backbone import load_transformer
from ....backbones import backbone_of
from ....checkpoints.module_folder import load_module, read_json
from ....data.encoded import EncodedClips
from ....geometry import COGVIDEOX, Grid
from ....latents import GRIDS, scaling_of
from ....model_folder import TINY
from ....model_folder.libraries import load_autoencoder
from ....models.adapter import Tora2Adapter
from ....models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from ....models.config import Tora2Config
from ...warm_start import Taken, take_appearance, take_motion
from .config import AdapterTraining, Base

_DTYPES = {"bf16": torch.bfloat16, "fp8": torch.bfloat16, "fp32": torch.float32}


def load_base(base: Base) -> Any:
    """The frozen transformer, on the CPU.

    Raises:
        ValueError, OSError: as `tora2.backbone.load_transformer`.
    """
    path = TINY / "transformer" if base.transformer == "tiny" else Path(base.transformer)
    transformer = load_transformer(path, _DTYPES[base.dtype])
    transformer.requires_grad_(False)
    if base.dtype == "fp8":
        transformer.enable_layerwise_casting(
            storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16
        )
    if base.recompute:
        transformer.enable_gradient_checkpointing()
    return transformer


def load_vae(base: Base) -> Any:
    """The frozen autoencoder, on the CPU.

    Raises:
        ValueError: if there is none, or its files are damaged.
    """
    folder = _vae_folder(base)
    if read_json(folder / "config.json").get("_class_name") in GRIDS:
        vae = load_autoencoder(folder, _DTYPES[base.dtype])
        if base.tiled:
            vae.enable_tiling()
    else:
        vae = load_module(PatchAutoencoder, PatchAutoencoderConfig, folder)
        vae = vae.to(_DTYPES[base.dtype])
    return vae.eval().requires_grad_(False)


def _vae_folder(base: Base) -> Path:
    if base.autoencoder is not None:
        return TINY / "vae" if base.autoencoder == "tiny" else Path(base.autoencoder)
    if base.transformer == "tiny":
        return TINY / "vae"
    path = Path(base.transformer)
    folder = path / "vae" if (path / "vae").is_dir() else path.parent / "vae"
    if not folder.is_dir():
        raise ValueError(
            f"there is no autoencoder beside {base.transformer}; "
            "expected its folder as base.autoencoder"
        )
    return folder


def adapter_config(
    config: AdapterTraining, transformer: Any, clips: EncodedClips | None
) -> Tora2Config:
    """The adapter's sizes, those that follow from other parts being theirs.

    Raises:
        ValueError: if the configuration sets another one of those.
    """
    made, backbone = transformer.config, backbone_of(transformer)
    widths = {
        "dim": made.num_attention_heads * made.attention_head_dim,
        "layers": backbone.layers(transformer),
        "word_dim": made[backbone.text_field],
        "latent_channels": backbone.grid.channels,
    }
    if clips is not None:
        for name in ("semantic_dim", "face_dim", "object_dim"):
            widths[name] = getattr(clips.config, name)
    return config.adapter_config(**widths)


def check_clips(clips: EncodedClips, transformer: Any, vae: Any, config: Tora2Config) -> None:
    """Refuse a cache that was made for another model.

    Raises:
        ValueError: names what differs.
    """
    clips.check(config)
    made, grid = clips.config, backbone_of(transformer).grid
    grid.check_video(made.frames, made.height, made.width, "the cache's video")
    _, channels, frames, rows, columns = grid.latent_shape(made.frames, made.height, made.width)
    made.require(channels=channels, latent_frames=frames, rows=rows, columns=columns)
    backbone_of(transformer).check_size(transformer, frames, rows, columns)
    scale = scaling_of(vae)
    if not math.isclose(made.scaling, scale, rel_tol=1e-6):
        raise ValueError(
            f"the cache was made with a scaling of {made.scaling:g}, expected {scale:g}, that of "
            "the autoencoder: precompute with this base's own"
        )


def new_adapter(
    config: AdapterTraining, sizes: Tora2Config, grid: Grid = COGVIDEOX
) -> tuple[Tora2Adapter, list[Taken]]:
    """An adapter to begin with, a function of the seed and the files it begins with.

    Returns:
        It, in float32 on the CPU, and what was taken from which file.
    """
    torch.manual_seed(config.seed)
    adapter = Tora2Adapter(sizes, grid)
    taken = []
    if config.warm_start.motion is not None:
        taken.append(take_motion(adapter, config.warm_start.motion))
    elif adapter.extractor is not None:
        # Without batch statistics the residual stream would double its variance at every block.
        scale = min(0.3, len(adapter.extractor.body) ** -0.5)
        for block in adapter.extractor.body:
            block.get_parameter("block2.weight").data.mul_(scale)
    if config.warm_start.appearance is not None:
        taken.append(take_appearance(adapter, config.warm_start.appearance))
    return adapter, taken
