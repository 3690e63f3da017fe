"""Masks as run lengths, in the compressed text that COCO's tools use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..fields import show

MAX_PIXELS = 1 << 26
Mask = npt.NDArray[np.bool_]


def encode_mask(mask: Mask) -> str:
    """The run lengths of a mask [H, W], column by column, the first of them of False."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    if flat.size and flat[0]:
        runs.insert(0, 0)
    text = []
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        while True:
            digit, value = value & 31, value >> 5
            more = value != (-1 if digit & 16 else 0)
            text.append(chr(48 + (digit | 32 if more else digit)))
            if not more:
                break
    return "".join(text)


def decode_mask(text: str, size: tuple[int, int]) -> Mask:
    """The mask bool [H, W] of run lengths that `encode_mask` or COCO's tools wrote.

    Raises:
        ValueError: if the text is damaged or its runs do not fill `size`, which is (H, W).
    """
    height, width = size
    wanted = f"run lengths of {height * width} pixels"
    if height * width > MAX_PIXELS:
        raise ValueError(f"a mask of {width}x{height} pixels is too large, expected {MAX_PIXELS}")
    runs: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > 30:
            raise ValueError(f"the mask {show(text)} is damaged, expected {wanted}")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            if runs[-1] < 0 or len(runs) > height * width + 1:
                raise ValueError(f"the mask {show(text)} is damaged, expected {wanted}")
            value = shift = 0
    if shift or sum(runs) != height * width:
        raise ValueError(f"the mask {show(text)} has {sum(runs)} pixels, expected {wanted}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(size, order="F")
