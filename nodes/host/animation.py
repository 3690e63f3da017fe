"""A clip as a small moving picture on its node."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor
from torch.nn import functional


def preview(frames: Tensor, fps: float, side: int) -> dict[str, Any]:
    """What the node shows of frames [T, H, W, 3] in [0, 1]: a WebP in the temporary folder.

    Args:
        frames: of the clip.
        fps: its speed.
        side: pixels that the longer side has at most.
    """
    scale = min(1.0, side / max(frames.shape[1:3]))
    size = [max(1, round(length * scale)) for length in frames.shape[1:3]]
    small = [
        functional.interpolate(frame.movedim(-1, 0)[None], size, mode="area")[0].movedim(0, -1)
        for frame in frames
    ]
    saved = ui.ImageSaveHelper.save_animated_webp(
        small,
        filename_prefix="tora2_clip",
        folder_type=io.FolderType.temp,
        cls=None,
        fps=fps,
        lossless=False,
        quality=80,
        method=0,
    )
    return ui.SavedImages([saved], is_animated=len(small) > 1).as_dict()
