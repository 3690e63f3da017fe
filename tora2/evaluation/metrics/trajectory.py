"""TrajError: how far what moves is from where it was asked to be (section 4.1)."""

import torch
from torch import Tensor


def trajectory_error(predicted: Tensor, target: Tensor, visible: Tensor | None = None) -> float:
    """Mean L1 distance between measured and requested tracks.

    Args:
        predicted: [N, T, 2] measured points in pixels (x, y); NaN where nothing was found.
        target: [N, T, 2] requested points in pixels.
        visible: [N, T] bool, which points count; all that were found by default.

    Returns:
        Mean of |dx| + |dy| in pixels, over points; NaN when no point counts.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if predicted.shape != target.shape or predicted.shape[-1:] != (2,):
        raise ValueError(
            f"predicted and target have shapes {tuple(predicted.shape)} and {tuple(target.shape)}; "
            "expected one [N, T, 2] for both"
        )
    counted = torch.isfinite(predicted).all(-1)
    if visible is not None:
        if visible.shape != counted.shape:
            raise ValueError(
                f"visible has shape {tuple(visible.shape)}; expected {tuple(counted.shape)}"
            )
        counted = counted & visible
    distance = (predicted - target).abs().sum(-1)
    return distance[counted].double().mean().item() if bool(counted.any()) else float("nan")
