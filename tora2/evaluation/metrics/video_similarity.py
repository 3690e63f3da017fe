"""Vid-S: how much a video looks like frames of the one it was described by, in CLIP's space."""

import torch.nn.functional as F
from torch import Tensor


def video_similarity(frames: Tensor, references: Tensor) -> float:
    """Mean cosine over all pairs of a frame and a reference.

    Args:
        frames: [T, D] embeddings of the video.
        references: [R, D] embeddings of the references (the benchmark has three).

    Raises:
        ValueError: if either is empty, or the shapes do not fit.
    """
    shapes = tuple(frames.shape), tuple(references.shape)
    if frames.ndim != 2 or references.ndim != 2 or 0 in frames.shape + references.shape:
        raise ValueError(f"frames and references are {shapes}, expected [T, D] and [R, D]")
    if frames.shape[1] != references.shape[1]:
        raise ValueError(f"frames and references are {shapes}, expected one D")
    one, other = (F.normalize(part.double(), dim=-1) for part in (frames, references))
    return float((one @ other.T).mean())
