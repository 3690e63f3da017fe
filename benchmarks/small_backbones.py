"""Small Latte and Wan transformers from random weights, and latents in place of Latte's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from tora2.backbones import Backbone
from tora2.backbones.latte import SHAPES
from tora2.files import atomic_path
from tora2.models.adapter import Tora2Adapter
from tora2.overlay import contact_sheet

DIM, LAYERS, TEXT = 128, 4, 16


class Cells:
    """In place of Latte's autoencoder: a cell's colour, and how much it varies."""

    def encode(self, video: Tensor) -> Tensor:
        colour = F.avg_pool3d(video, (1, 8, 8))
        wide = F.interpolate(colour, scale_factor=(1, 8, 8))
        spread = F.avg_pool3d((video - wide).abs().mean(1, keepdim=True), (1, 8, 8))
        return torch.cat([colour * 2, spread * 8 - 1], dim=1)

    def decode(self, latents: Tensor) -> Tensor:
        scale = (1, 8, 8)
        return F.interpolate(latents[:, :3] / 2, scale_factor=scale, mode="trilinear").clamp(-1, 1)


def transformer(backbone: Backbone, side: int, frames: int, text: int = TEXT) -> Any:
    """A small one from random weights, for clips of `frames` times `side` times `side` pixels."""
    if backbone.name == "wan":
        made = backbone.kind(
            num_attention_heads=2,
            attention_head_dim=DIM // 2,
            ffn_dim=4 * DIM,
            num_layers=LAYERS,
            text_dim=text,
        )
        nn.init.zeros_(made.proj_out.weight)
        return made
    made = backbone.kind(
        **{
            **SHAPES["Latte-1"],
            "num_attention_heads": 2,
            "attention_head_dim": DIM // 2,
            "cross_attention_dim": DIM,
            "num_layers": LAYERS // 2,
            "caption_channels": text,
            "sample_size": side // 8,
            "video_length": frames,
            "out_channels": backbone.grid.channels,
        }
    )
    nn.init.zeros_(made.proj_out.weight)
    return made


def leave(
    folder: Path, results: list[dict[str, Any]], rows: Sequence[Iterable[Tensor]], many: int
) -> None:
    """Write `results.json`, and `sheet.png` with `many` frames of every clip of each row."""
    with atomic_path(folder / "results.json") as path:
        path.write_text(json.dumps(results, indent=1))
    sheets = [torch.cat([contact_sheet(f, many) for f in row], dim=1) for row in rows]
    picture = (torch.cat(sheets).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(picture).save(folder / "sheet.png")


def soften(adapter: Tora2Adapter) -> None:
    """Let the trajectory extractor's residual stream begin as the recipes' does."""
    assert adapter.extractor is not None
    for block in adapter.extractor.body:
        block.get_parameter("block2.weight").data.mul_(0.3)
