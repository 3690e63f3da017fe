"""CogVideoX-1.0's rotary position embedding, at the trained size and at others."""

import torch
from torch import Tensor


def crop_region(
    grid: tuple[int, int], base: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a token grid lies on the trained one: resized to cover it, and centred.

    Args:
        grid: (height, width) in tokens.
        base: (height, width) in tokens that the model was trained on.

    Returns:
        (top, left) and (bottom, right).

    Source: `get_resize_crop_region_for_grid` of diffusers' CogVideoX pipelines.
    """
    (height, width), (base_height, base_width) = grid, base
    if height / width > base_height / base_width:
        resized = base_height, round(base_height / height * width)
    else:
        resized = round(base_width / width * height), base_width
    top = round((base_height - resized[0]) / 2)
    left = round((base_width - resized[1]) / 2)
    return (top, left), (top + resized[0], left + resized[1])


def rotary_embedding(
    head_dim: int,
    frames: int,
    grid: tuple[int, int],
    base: tuple[int, int],
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Rotary embedding of a clip's tokens, rotating neighbouring channel pairs.

    A quarter of the channels tells the frame, three eighths each the row and the column.

    Args:
        head_dim: channels of an attention head.
        frames: latent frames.
        grid, base: see `crop_region`.

    Returns:
        Cosines and sines, each float32 [T * H * W, head_dim].
    """
    (top, left), (bottom, right) = crop_region(grid, base)
    height, width = grid
    times = torch.arange(frames, device=device, dtype=torch.float32)
    rows = torch.linspace(top, bottom * (height - 1) / height, height, device=device)
    columns = torch.linspace(left, right * (width - 1) / width, width, device=device)
    parts = ((times, head_dim // 4), (rows, head_dim // 8 * 3), (columns, head_dim // 8 * 3))
    axes = [_angles(positions, dim) for positions, dim in parts]
    shape = (frames, height, width)
    joined = []
    for axis, angles in enumerate(axes):
        view = [1, 1, 1, angles.shape[-1]]
        view[axis] = len(angles)
        joined.append(angles.view(view).expand(*shape, -1))
    angle = torch.cat(joined, dim=-1).flatten(0, 2)
    return angle.cos(), angle.sin()


def _angles(positions: Tensor, dim: int) -> Tensor:
    exponent = torch.arange(0, dim, 2, device=positions.device, dtype=torch.float32) / dim
    return torch.outer(positions, 10000.0**-exponent).repeat_interleave(2, dim=-1)
