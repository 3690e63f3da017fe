"""How much of a picture boxes cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def covered(boxes: npt.ArrayLike, size: tuple[int, int]) -> float:
    """The share of a picture that convex quadrilaterals cover together.

    Args:
        boxes: [N, 4, 2] corners in order around each, (x, y) in pixels, 0 the left and top edge.
        size: (height, width).

    Returns:
        From 0 to 1; a pixel counts where its centre lies in a box, and once where several do.
    """
    height, width = size
    mask = np.zeros((height, width), bool)
    for box in np.asarray(boxes, np.float64).reshape(-1, 4, 2):
        left, top = np.maximum(np.floor(box.min(0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(box.max(0)), (width, height)).astype(int)
        if right <= left or bottom <= top:
            continue
        ys, xs = np.mgrid[top:bottom, left:right] + 0.5
        ahead = np.roll(box, -1, axis=0) - box
        sides = [dx * (ys - y) - dy * (xs - x) for (x, y), (dx, dy) in zip(box, ahead, strict=True)]
        inside = np.all(np.greater_equal(sides, 0), 0) | np.all(np.less_equal(sides, 0), 0)
        mask[top:bottom, left:right] |= inside
    return float(mask.mean())
