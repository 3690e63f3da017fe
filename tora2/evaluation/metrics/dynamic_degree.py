"""Dync-D: whether a video moves at all, by the flow between its frames."""

from torch import Tensor

_STRONGEST = 0.05
_SPEED = 6 / 256  # of the frame's short side, at about 8 frames a second
_SHARE = 0.25


def is_dynamic(flows: Tensor, size: tuple[int, int] | None = None) -> bool:
    """Whether enough frames move.

    Args:
        flows: [T, 2, H, W] in pixels between frames that are about an eighth of a second apart.
        size: (height, width) of the frames, if the flows are of padded ones.

    Returns:
        True if the mean of the strongest 5 % of the motion exceeds six 256ths of the short side in
        at least a quarter of the T + 1 frames, rounded to the even number.

    Raises:
        ValueError: if the shape is another, or there is no pixel.
    """
    if flows.ndim != 4 or flows.shape[1] != 2 or 0 in flows.shape:
        raise ValueError(f"flows are {tuple(flows.shape)}, expected [T, 2, H, W]")
    height, width = size or flows.shape[-2:]
    speed = flows.double().norm(dim=1).flatten(1)
    strongest = speed.topk(max(1, int(speed.shape[1] * _STRONGEST)), dim=1).values.mean(1)
    moving = int((strongest > _SPEED * min(height, width)).sum())
    return moving >= round((len(flows) + 1) * _SHARE)
