"""How the camera moves, as the detector that the paper names (camera-motion-detector) measures it.

The middle 300x300 pixels of consecutive frames, Farneback's flow between them. A pair of frames has
the median of its vectors' directions, in degrees with y down, and a zoom: the share of vectors that
do not point towards the middle. A clip has the medians of its pairs.

So the paper's bounds accept a camera that is still but for the sensor's noise (180 degrees, 0.5)
and horizontal pans, and drop zooms, vertical and diagonal pans, and pictures that are the same to
the last bit (0 degrees, 1.0). `static` and `fastest` are ours and off by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from ...settings import Within
from ..candidate import Candidate, Frames
from ..reading import frames_at, upright
from ..stage import Resources

CROP = 300
_PLANAR = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12")
_NOTHING = 1e-3  # pixels: between pictures that are the same, some builds of OpenCV find 1e-4
Flow = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Config:
    """The paper's bounds (section 3.3), both ends within.

    Attributes:
        zoom: from, to.
        angles: degrees, from and to each.
        average: over the pairs of frames: their `median`, as the detector, or the `circular` mean
            of their angles, which does not break at 0 = 360.
        static: pixels a frame; what moves less is a still camera and accepted. None leaves it out.
        fastest: pixels a frame; what moves more is dropped at any angle. None leaves it out.
        pairs: of frames that are looked at, evenly spread; 0 for all of them.
    """

    zoom: tuple[float, float] = (0.4, 0.6)
    angles: tuple[tuple[float, float], ...] = ((0.0, 30.0), (150.0, 200.0), (330.0, 360.0))
    average: Literal["median", "circular"] = "median"
    static: float | None = None
    fastest: float | None = None
    pairs: Annotated[int, Within(0, 100_000)] = 16


@dataclass(frozen=True)
class Pair:
    """What the flow between two frames says of the camera.

    Attributes:
        magnitude: median, pixels.
        angle: median, degrees from 0 to 360, 0 to the right and 90 down.
        zoom: share of vectors that do not point towards the middle.
    """

    magnitude: float
    angle: float
    zoom: float


@dataclass(frozen=True)
class Camera:
    """See the module."""

    config: Config
    name = "camera"
    resources = Resources()

    def needs(self) -> Sequence[str]:
        """Nothing but OpenCV."""
        return ()

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        """The candidate with `camera_zoom`, `camera_angle` and `camera_magnitude`."""
        if candidate.frame_count < 2:
            raise ValueError(f"it has {candidate.frame_count} frame, expected two or more")
        found = average(list(pairs_of(candidate, self.config.pairs)), self.config.average)
        reason = refusal(found, self.config)
        candidate = candidate.with_scores(
            camera_zoom=found.zoom, camera_angle=found.angle, camera_magnitude=found.magnitude
        )
        return (candidate if reason is None else candidate.drop(self.name, reason),)


def pairs_of(candidate: Candidate, most: int) -> Iterator[Pair]:
    """What pairs of consecutive frames say, of all or of so many.

    Where the rate varies, a frame that is shown for longer is not compared with itself.
    """
    count = candidate.frame_count - 1
    firsts: Any = range(count)
    if 0 < most < count:
        firsts = sorted({round(place) for place in np.linspace(0, count - 1, most)})
    places = [place for first in firsts for place in (first, first + 1)]
    pictures = frames_at(candidate, places, _middle)
    held = None
    for before in pictures:
        after = next(pictures)
        if after is not before:
            yield compare(before, after)
        elif held is None:
            held = before
    if held is not None:
        yield compare(held, held)


def _middle(frame: Any) -> Frames:
    """The middle of a frame, grey, uint8 of at most [300, 300]."""
    grey: Any
    if frame.format.name in _PLANAR:  # the flow does not care about black and white's levels
        plane = frame.planes[0]
        grey = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        grey = grey[: frame.height, : frame.width]
    else:
        grey = frame.to_ndarray(format="gray")
    top, left = (max(0, (side - CROP) // 2) for side in grey.shape)
    return upright(np.ascontiguousarray(grey[top : top + CROP, left : left + CROP]), frame)


def compare(before: Frames, after: Frames) -> Pair:
    """What the flow between two grey pictures uint8 [H, W] says."""
    if np.array_equal(before, after):
        return describe(np.zeros((*before.shape, 2), np.float32))
    flow: Any = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return describe(flow)


def describe(flow: Flow) -> Pair:
    """What a flow [H, W, 2], (dx, dy) in pixels, says."""
    flow = np.where(np.abs(flow) < _NOTHING, np.float32(0), flow)
    magnitude, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    height, width = flow.shape[:2]
    outwards_x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    outwards_y = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
    outwards = flow[..., 0] * outwards_x + flow[..., 1] * outwards_y >= 0
    return Pair(float(np.median(magnitude)), float(np.median(angle)), float(outwards.mean()))


def average(pairs: Sequence[Pair], angles: str) -> Pair:
    """What all pairs of a clip say together."""
    every = np.array([[pair.magnitude, pair.angle, pair.zoom] for pair in pairs])
    magnitude, _, zoom = np.median(every, axis=0)
    angle = np.percentile(every[:, 1], 50, method="lower")  # between 1 and 359 lies no 180
    if angles == "circular":
        angle = np.degrees(np.angle(np.exp(1j * np.radians(every[:, 1])).mean())) % 360
    return Pair(float(magnitude), float(angle), float(zoom))


def refusal(found: Pair, config: Config) -> str | None:
    """Why a clip is dropped, or None."""
    if config.fastest is not None and found.magnitude > config.fastest:
        return (
            f"its camera moves {found.magnitude:.1f} pixels a frame, "
            f"expected at most {config.fastest:g}"
        )
    if config.static is not None and found.magnitude < config.static:
        return None
    low, high = config.zoom
    if not low <= found.zoom <= high:
        return f"its zoom is {found.zoom:.2f}, expected {low:g} to {high:g}"
    if not any(start <= found.angle <= end for start, end in config.angles):
        bounds = ", ".join(f"{start:g} to {end:g}" for start, end in config.angles)
        return f"its camera moves at {found.angle:.0f} degrees, expected {bounds}"
    return None


def build(config: Config) -> Camera:
    """The stage."""
    return Camera(config)
