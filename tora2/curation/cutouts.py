"""Reference pictures: an entity cut out of a frame, with its mask as alpha."""

from __future__ import annotations

import numpy as np

from .candidate import Frames, Mask


def cut_out(frame: Frames, mask: Mask) -> Frames:
    """What a mask covers of a frame.

    Args:
        frame: uint8 [H, W, 3] RGB.
        mask: bool [H, W].

    Returns:
        RGBA uint8 [h, w, 4], the mask's box; colours stay also where alpha is 0, so that edges can
        be resized.

    Raises:
        ValueError: if the mask is empty, or of another size.
    """
    if mask.shape != frame.shape[:2]:
        raise ValueError(f"the mask is {mask.shape}, expected the frame's {frame.shape[:2]}")
    ys, xs = np.nonzero(mask)
    if not len(xs):
        raise ValueError("the mask is empty, expected True where the thing is")
    part = np.s_[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    alpha = np.where(mask[part], 255, 0).astype(np.uint8)
    return np.concatenate([frame[part], alpha[..., None]], -1)


def on_white(cutout: Frames) -> Frames:
    """A cut-out [h, w, 4] on white, uint8 [h, w, 3]."""
    alpha = cutout[..., 3:].astype(np.uint16)
    mixed = (cutout[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)
