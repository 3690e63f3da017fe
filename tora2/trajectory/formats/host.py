"""ComfyUI's `TRACKS`: `track_path` [T, N, 2] in pixels and `track_visibility` [T, N]."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...fields import refuse, show
from ..document import MAX_FRAMES, MAX_TRACKS, TrajectoryDocument
from ..sampling import Tracks
from .arrays import together
from .samples import from_arrays

_NUMBERS = (int, float, type(None))


def from_host(tracks: Mapping[str, object], size: tuple[int, int]) -> TrajectoryDocument:
    """Read the host's `TRACKS`.

    Args:
        tracks: `track_path` [T, N, 2] pixels (x, y) and optionally `track_visibility` [T, N], as
            tensors, arrays or nested lists.
        size: (height, width) of the canvas in pixels, which `TRACKS` does not carry.

    Returns:
        Linear tracks with a key at every frame. A track that disappears and comes back becomes one
        track for each time it is seen; one that is never seen is left out.

    Raises:
        ValueError: if the shapes are not the host's, or a visible point is not finite.
    """
    if not isinstance(tracks, Mapping):
        raise refuse("TRACKS", tracks, "an object with track_path")
    if "track_path" not in tracks:
        held = show(list(tracks)) if tracks else "nothing"
        raise ValueError(f"TRACKS holds {held}, expected track_path")
    path = _array(tracks["track_path"], "track_path")
    batched = path.ndim == 4 and path.shape[3] == 2
    if batched:
        path = np.asarray(together(path), dtype=np.float64)
    if path.ndim != 3 or path.shape[2] != 2:
        raise ValueError(f"track_path has the shape {path.shape}, expected [T, N, 2]")
    if path.shape[1] > MAX_TRACKS or path.shape[0] > MAX_FRAMES:
        raise ValueError(
            f"track_path has the shape {path.shape}, "
            f"expected at most {MAX_FRAMES} frames and {MAX_TRACKS} tracks"
        )
    visible = np.ones(path.shape[:2], dtype=bool)
    if tracks.get("track_visibility") is not None:
        visible = _array(tracks["track_visibility"], "track_visibility") > 0.5
        if batched and visible.ndim == 3:
            visible = np.asarray(together(visible), dtype=bool)
    if visible.shape != path.shape[:2]:
        raise ValueError(
            f"track_visibility has the shape {visible.shape}, "
            f"expected {path.shape[:2]}, that of track_path"
        )
    return from_arrays(path.swapaxes(0, 1), visible.T, size)


def to_host(tracks: Tracks) -> dict[str, Tensor]:
    """The host's `TRACKS`: `track_path` [T, N, 2] float32 and `track_visibility` [T, N] bool."""
    return {
        "track_path": tracks.points.transpose(0, 1).contiguous(),
        "track_visibility": tracks.visible.transpose(0, 1).contiguous(),
    }


def dumps_tracks(tracks: Tracks) -> str:
    """`TRACKS` as JSON text."""
    return json.dumps({name: part.tolist() for name, part in to_host(tracks).items()})


def _array(value: object, name: str) -> npt.NDArray[np.float64]:
    """Numbers as float64; null is none, like NaN, and a text is not a number."""
    if isinstance(value, Tensor):
        value = value.detach().to("cpu", torch.float64).numpy()
    try:
        array = np.asarray(value)
        kind = array.dtype.kind
        if kind in "biuf" or (kind == "O" and all(isinstance(x, _NUMBERS) for x in array.flat)):
            return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{name} is not an array of numbers")
