"""Text-S: how much a video looks like its caption, in CLIP's space."""

import torch.nn.functional as F
from torch import Tensor


def text_similarity(text: Tensor, frames: Tensor) -> float:
    """Mean cosine of a caption and every frame.

    Args:
        text: [D] embedding of the caption.
        frames: [T, D] embeddings of the frames.

    Raises:
        ValueError: if there is no frame, or the shapes do not fit.
    """
    if text.ndim != 1 or frames.ndim != 2 or not len(frames) or frames.shape[1] != len(text):
        raise ValueError(
            f"text and frames are {tuple(text.shape)} and {tuple(frames.shape)}, "
            "expected [D] and [T, D] with at least one frame"
        )
    return float(F.cosine_similarity(frames.double(), text.double()[None], dim=-1).mean())
