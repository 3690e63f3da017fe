"""Where a thing is that does not move, by its picture: its cut-out is looked for in one frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

_LOOKED = 240  # pixels of the short side at which is looked
_SIZES = np.geomspace(0.08, 0.6, 16)  # of the short side, that the cut-out's long side has
_ALIKE = 0.8  # correlation of what is taken for it
_AHEAD = 0.1  # by which it is more alike than the next place
_WHITE = 245  # from here on a picture is its white ground
_LEAST = 8  # pixels of a side


def find_by_looks(frame: Picture, cut_out: Picture) -> tuple[float, float, float] | None:
    """The centre and the radius of what looks like a cut-out.

    Args:
        frame: uint8 [H, W, 3].
        cut_out: uint8 [h, w, 3] on white.

    Returns:
        (x, y, radius) in pixels; None where nothing is alike, or two places are.

    Raises:
        ValueError: if OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise ValueError(
            "finding a thing by its picture needs OpenCV; "
            "install it with: pip install 'comfyui-tora2[measure]'"
        ) from None
    ys, xs = np.nonzero((cut_out < _WHITE).any(-1))
    if not len(ys):
        return None
    own = cut_out[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    scale = min(1.0, _LOOKED / min(frame.shape[:2]))
    size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    best: tuple[float, Any, Picture] | None = None
    for share in _SIZES:
        ratio = share * min(size) / max(own.shape[:2])
        width, height = (round(side * ratio) for side in (own.shape[1], own.shape[0]))
        if min(width, height) < _LEAST or width > size[0] or height > size[1]:
            continue
        template = cv2.resize(own, (width, height), interpolation=cv2.INTER_AREA)
        alike = _correlation(cv2, small, template)
        if best is None or alike.max() > best[0]:
            best = float(alike.max()), alike, template
    if best is None or best[0] < _ALIKE:
        return None
    score, alike, template = best
    top, left = np.unravel_index(int(alike.argmax()), alike.shape)
    height, width = template.shape[:2]
    reach_y, reach_x = max(height // 2, 1), max(width // 2, 1)
    rest = alike.copy()
    rest[max(0, top - reach_y) : top + reach_y + 1, max(0, left - reach_x) : left + reach_x + 1] = 0
    if rest.max() > score - _AHEAD:
        return None
    area = float((template < _WHITE).any(-1).sum())
    return (
        (float(left) + width / 2) / scale,
        (float(top) + height / 2) / scale,
        math.sqrt(area / math.pi) / scale,
    )


def _correlation(cv2: Any, picture: Picture, template: Picture) -> npt.NDArray[np.float32]:
    """Of what a template shows beside white, with each place of a picture."""
    shown = np.asarray((template < _WHITE).any(-1), dtype=np.float32)
    mask = np.repeat(shown[..., None], 3, -1)
    alike = cv2.matchTemplate(
        picture.astype(np.float32), template.astype(np.float32), cv2.TM_CCOEFF_NORMED, mask=mask
    )
    finite: npt.NDArray[np.float32] = np.zeros(alike.shape, np.float32)
    known = np.isfinite(alike) & (np.abs(alike) <= 1.01)
    finite[known] = alike[known]
    return finite
