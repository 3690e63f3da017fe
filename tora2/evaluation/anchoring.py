"""Where the thing is that a path was drawn for, if it is not where the path begins.

A tracker that is asked where a path begins follows whatever is there, such as the rim of a thing
that is beside its path, which then seems to keep to it. So what moves as that place does is told
from the ground, and its centre is followed instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

_AHEAD = (1, 2, 3, 4, 6, 8, 12)  # frames to compare with, until something has moved
_MOVED = 4.0  # pixels against the ground
_SMALLEST, _LARGEST = 80, 0.25  # pixels, and share of the frame
_SOLID = 0.7  # share of its hull that a thing fills
_MARGIN = 4.0  # grey levels by which moving must explain a pixel better than resting
_EXACT = 20.0  # and how well at least
_AGREED = 1.5  # pixels between what two pairs of frames say
_ALIKE = 0.15  # and of the radius
_NEAR, _OWN = 3.0, 0.2  # pixels, and share of the radius: a path that begins there is the thing's


def find_thing(
    pictures: Sequence[npt.NDArray[np.uint8]], time: int, path: Array
) -> tuple[float, float] | None:
    """The centre of what moves where a path begins.

    Args:
        pictures: uint8 [H, W, 3] of the video.
        time: the frame in which the path begins.
        path: [T, 2] where what is there goes, as a tracker says, in pixels; NaN where it is lost.

    Returns:
        (x, y) in pixels; None where nothing stands out by its motion, it is cut by the edge of the
        frame, two pairs of frames do not agree on it, or its centre is where the path begins.

    Raises:
        ValueError: if OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise ValueError(
            "finding the thing beside its path needs OpenCV; "
            "install it with: pip install 'comfyui-tora2[measure]'"
        ) from None
    place = path[time]
    x, y = float(place[0]), float(place[1])
    votes: list[tuple[tuple[float, float], float]] = []
    for ahead in _AHEAD:
        for other in (time + ahead, time - ahead):
            if not 0 <= other < len(pictures):
                continue
            here, there = pictures[time], pictures[other]
            found = _moving(cv2, here, there, place, path[other] - place)
            if found is None:
                continue
            for (u, v), radius in votes:
                alike = abs(found[1] - radius) <= _ALIKE * radius
                if alike and math.dist(found[0], (u, v)) <= _AGREED:
                    centre = (u + found[0][0]) / 2, (v + found[0][1]) / 2
                    near = math.dist(centre, (x, y)) <= max(_NEAR, _OWN * radius)
                    return None if near else centre
            votes.append(found)
    return None


def _moving(
    cv2: Any, here: Any, there: Any, place: Array, step: Array
) -> tuple[tuple[float, float], float] | None:
    """Centre and radius of what is at a place and goes a step between two pictures."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (here, there)]
    if min(grey[0].shape) < 32:
        return None
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(*grey, None)
    ground = np.median(flow.reshape(-1, 2), axis=0)
    if not np.isfinite(step).all() or np.linalg.norm(step - ground) < _MOVED:
        return None
    # What is plain ahead of a moving thing goes with it as well as it rests, and behind it the
    # same backwards in time; the thing is what both directions agree on.
    forth = _explained(cv2, here, there, step, ground)
    back = _explained(cv2, there, here, -step, -ground)
    mask = cv2.bitwise_and(forth, _shifted(cv2, back, step))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(mask)
    label = labels[int(min(place[1], len(mask) - 1)), int(min(place[0], mask.shape[1] - 1))]
    return _whole(cv2, (labels == label).astype(np.uint8)) if label else None


def _explained(cv2: Any, here: Any, there: Any, step: Array, ground: Array) -> Mask:
    """Where a picture is found in another one a step away rather than where the ground goes."""
    moved, rested = (
        cv2.blur(np.abs(_shifted(cv2, there, way).astype(np.float32) - here).mean(-1), (5, 5))
        for way in (step, ground)
    )
    return np.asarray((moved + _MARGIN < rested) & (moved < _EXACT)).astype(np.uint8)


def _shifted(cv2: Any, picture: Any, step: Array) -> Any:
    """A picture as it is a step further on."""
    matrix = np.array([[1, 0, -step[0]], [0, 1, -step[1]]], np.float32)
    size = (picture.shape[1], picture.shape[0])
    return cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)


def _whole(cv2: Any, mask: Mask) -> tuple[tuple[float, float], float] | None:
    """Centre and radius of a thing that is whole: within the frame, and of one piece."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    left, top, width, height = cv2.boundingRect(outline)
    rows, columns = mask.shape
    if left <= 2 or top <= 2 or left + width >= columns - 2 or top + height >= rows - 2:
        return None
    filled = cv2.drawContours(np.zeros_like(mask), [outline], -1, 1, -1)
    area = float(filled.sum())
    hull = float(cv2.contourArea(cv2.convexHull(outline)))
    if not _SMALLEST <= area <= _LARGEST * mask.size or area < _SOLID * hull:
        return None
    ys, xs = np.nonzero(filled)
    return (float(xs.mean()) + 0.5, float(ys.mean()) + 0.5), math.sqrt(area / math.pi)
