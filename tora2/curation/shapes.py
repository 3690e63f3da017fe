"""Masks of entities: which are too large, too small or fragmented, and where their middle is.

The paper names these filters and no numbers (section 3.3); ConceptMaster (arXiv 2501.04698) drops
areas below 10 and above 90 % of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .candidate import Mask


@dataclass(frozen=True)
class Limits:
    """What a mask must keep to.

    Attributes:
        smallest, largest: share of the frame.
        whole: share of the mask that its largest piece has at least.
        most_parts: pieces of at least `part` of the mask that it may have.
        part: share of the mask from which a piece counts.
    """

    smallest: float = 0.02
    largest: float = 0.9
    whole: float = 0.7
    most_parts: int = 5
    part: float = 0.01


def fault(mask: Mask, limits: Limits) -> str | None:
    """Why a mask [H, W] is not taken, in words; None where it is."""
    area = float(mask.mean())
    if area < limits.smallest or area == 0:
        return f"it covers {area:.1%} of the frame, expected {limits.smallest:.1%} at least"
    if area > limits.largest:
        return f"it covers {area:.1%} of the frame, expected {limits.largest:.1%} at most"
    sizes = pieces(mask)
    whole = sizes[0] / sizes.sum()
    if whole < limits.whole:
        return f"its largest piece is {whole:.0%} of it, expected {limits.whole:.0%} at least"
    count = int((sizes >= limits.part * sizes.sum()).sum())
    if count > limits.most_parts:
        return f"it has {count} pieces, expected {limits.most_parts} at most"
    return None


def pieces(mask: Mask) -> npt.NDArray[np.int64]:
    """Pixels of every piece of a mask [H, W], the largest first; diagonal neighbours touch."""
    count, labels = _cv2().connectedComponents(mask.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels.ravel(), minlength=count)[1:]
    return np.sort(sizes)[::-1].astype(np.int64)


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks [H, W]; 0 where both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def middle(mask: Mask) -> tuple[float, float]:
    """The centre of a mask [H, W], in pixels as (x, y), 0 the left and the top edge.

    Where the centroid lies off the mask, as a ring's does, it is the point farthest from its edge.

    Raises:
        ValueError: if the mask is empty.
    """
    ys, xs = np.nonzero(mask)
    if not len(xs):
        raise ValueError("the mask is empty, expected True where the thing is")
    x, y = float(xs.mean()) + 0.5, float(ys.mean()) + 0.5
    if mask[min(int(y), mask.shape[0] - 1), min(int(x), mask.shape[1] - 1)]:
        return x, y
    depths = _depths(mask)
    row, column = np.unravel_index(int(depths.argmax()), depths.shape)
    return float(column) + 0.5, float(row) + 0.5


def inside(mask: Mask, count: int) -> list[tuple[float, float]]:
    """Up to `count` points well within a mask [H, W] and apart from one another, as `middle`."""
    depths = _depths(mask)
    deep = depths >= min(3.0, float(depths.max()))
    ys, xs = np.nonzero(deep)
    places = np.stack([xs, ys], -1).astype(np.float64) + 0.5
    if not len(places) or count < 1:
        return []
    # Farthest first from what is taken, beginning at the middle's farthest.
    apart = np.linalg.norm(places - np.array(middle(mask)), axis=1)
    taken = []
    for _ in range(min(count, len(places))):
        best = int(apart.argmax())
        taken.append((float(places[best, 0]), float(places[best, 1])))
        apart = np.minimum(apart, np.linalg.norm(places - places[best], axis=1))
    return taken


def _depths(mask: Mask) -> npt.NDArray[np.float32]:
    """[H, W] distance to the nearest pixel off the mask; the frame's edge is off it."""
    cv2 = _cv2()
    padded = np.pad(mask.astype(np.uint8), 1)
    depths: npt.NDArray[np.float32] = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return depths


def _cv2() -> Any:
    try:
        import cv2
    except ImportError:
        raise ValueError(
            "masks of entities need OpenCV; install it with: pip install 'comfyui-tora2[curation]'"
        ) from None
    return cv2
