"""A camera over all tracks: what pan, zoom and roll make of the places that were drawn."""

from __future__ import annotations

import numpy as np

from .curves import Array
from .document import Camera
from .timing import progress


def filmed(points: Array, camera: Camera, size: Array, frames: int) -> tuple[Array, Array]:
    """Where points are seen that were drawn in front of a camera that rests.

    A point d away from the middle of what the camera sees is seen zoom * R(-roll) d away from the
    middle of the frame. Pan and roll change evenly from key to key, the zoom by even factors. It
    knows no depth: all tracks move as if they lay on one wall.

    Args:
        points: [N, T, 2] in pixels (x, y), y down.
        camera: its keys.
        size: [2] width and height of the frame in pixels.
        frames: T.

    Returns:
        Points [N, T, 2] in pixels, and the zoom [T].
    """
    keys = camera.keys
    now = progress([(key.frame, index) for index, key in enumerate(keys)], camera.easing, frames)
    x, y, zoom, roll = (
        now.of(np.array(values))
        for values in zip(
            *((key.x, key.y, np.log(key.zoom), np.radians(key.roll)) for key in keys), strict=True
        )
    )
    zoom = np.exp(zoom)
    dx, dy = np.moveaxis(points - size / 2 - np.stack([x, y], axis=-1) * size, -1, 0)
    cos, sin = zoom * np.cos(roll), zoom * np.sin(roll)
    return np.stack([cos * dx + sin * dy, cos * dy - sin * dx], axis=-1) + size / 2, zoom
