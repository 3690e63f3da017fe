"""The things of a video that move against its ground: where each is seen whole, and how large.

A tracker that is asked where a path begins follows whatever is there: the rim of a thing that is
beside its path, or the ground. So that a thing beside its path is measured as far as it is from it,
things are told from the ground by their motion alone, and their centres are followed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

_AHEAD = (1, 2, 3, 4, 6, 8, 12, 20, 32)  # frames to compare with, until something has moved
_MOVED = 4.0  # pixels against the ground
_STILL = 0.5  # pixels that a ground at rest seems to move at most
_SMALLEST, _LARGEST = 80, 0.25  # pixels, and share of the frame
_SOLID = 0.7  # share of its hull that a thing fills
_MARGIN = 4.0  # grey levels by which moving must explain a pixel better than resting
_EXACT = 20.0  # and how well at least
_OTHER = 14.0  # grey levels from the ground at rest
_AGREED, _ALIKE = 1.5, 0.15  # pixels between what two pairs of frames say, and share of the radius
_UNIFORM, _PLAIN = 0.8, 8.0  # share of a plain ground, and grey levels about its colour
_RESTING = 25  # frames of which the ground at rest is the median
_LOOKED = 320  # pixels of the short side at which is looked at most


@dataclass(frozen=True)
class Sighting:
    """A thing that is seen whole.

    Attributes:
        frame: in which it is seen.
        x, y: its centre in pixels, the left and the top edge at 0.
        radius: of a disc of its area, in pixels.
        sure: two pairs of frames agree on it, rather than one frame's difference from the ground.
    """

    frame: int
    x: float
    y: float
    radius: float
    sure: bool = True


class Things:
    """What moves in a video.

    Args:
        pictures: uint8 [H, W, 3].

    Raises:
        ValueError: if OpenCV is not installed.
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        try:
            import cv2
        except ImportError:
            raise ValueError(
                "finding the thing beside its path needs OpenCV; "
                "install it with: pip install 'comfyui-tora2[measure]'"
            ) from None
        self.cv2: Any = cv2
        height, width = pictures[0].shape[:2]
        self.scale = min(1.0, _LOOKED / min(height, width))
        size = (round(width * self.scale), round(height * self.scale))
        self.pictures = [
            picture if self.scale == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            for picture in pictures
        ]
        self.small = min(size) < 32
        self.blobs: dict[int, list[tuple[tuple[float, float], float]]] = {}
        self.at_rest = None if self.small else self._ground()

    def seen(self, time: int) -> list[Sighting]:
        """The things that are seen whole in a frame, those that motion tells best first."""
        if self.small:
            return []
        found = [(centre, radius, True) for centre, radius in self._by_motion(time)]
        for centre, radius in self._blobs(time):
            if all(math.dist(centre, other) > (radius + reach) / 2 for other, reach, _ in found):
                found.append((centre, radius, False))
        return [
            Sighting(time, x / self.scale, y / self.scale, radius / self.scale, sure)
            for (x, y), radius, sure in found
        ]

    def differs(self, time: int, place: tuple[float, float]) -> bool | None:
        """Whether a place in pixels is off the ground at rest; None where no ground rests."""
        if self.at_rest is None:
            return None
        x, y = (int(value * self.scale) for value in place)
        mask = self._difference(time)
        return bool(mask[min(y, len(mask) - 1), min(x, mask.shape[1] - 1)])

    def leaves_ground(self, points: Array) -> bool:
        """Whether what goes along points [T, 2] leaves the ground, which may move as a whole."""
        ground = np.zeros(2, np.float32)
        apart = []
        for time, point in enumerate(points):
            if time:
                ground = ground + self._flow(self.pictures[time - 1], self.pictures[time])[1]
            if np.isfinite(point).all():
                apart.append(point * self.scale - ground)
        return len(apart) > 1 and bool(np.ptp(np.stack(apart), axis=0).max() > _MOVED)

    def centres(self, seen: Sighting) -> Array:
        """Where a thing is by the ground at rest that it hides, from a sighting on, both ways.

        Returns:
            [T, 2] pixels; NaN where it is not seen whole and alone near where it is expected.
        """
        points = np.full((len(self.pictures), 2), np.nan, np.float32)
        if self.at_rest is None:
            return points
        radius = seen.radius * self.scale
        begin = np.array([seen.x, seen.y], np.float32) * self.scale
        for order in (range(seen.frame, len(points)), range(seen.frame, -1, -1)):
            place, way = begin, np.zeros(2, np.float32)
            missed = 0
            for time in order:
                near = [
                    np.array(centre, np.float32)
                    for centre, reach in self._blobs(time)
                    if abs(reach - radius) <= _ALIKE * radius
                    and math.dist(centre, place + way) <= radius * (1 + missed)
                ]
                if not near:
                    missed += 1
                    place = place + way
                    continue
                found = min(near, key=lambda centre: math.dist(centre, place + way))
                if time != seen.frame and not missed:
                    way = found - place
                place, missed = found, 0
                points[time] = found / self.scale
        return points

    def _blobs(self, time: int) -> list[tuple[tuple[float, float], float]]:
        """Centres and radii of what hides a ground at rest, also where it is too fast to match."""
        if time not in self.blobs:
            moves = self.at_rest is None
            self.blobs[time] = [] if moves else list(self._whole(self._difference(time)))
        return self.blobs[time]

    def _by_motion(self, time: int) -> Iterator[tuple[tuple[float, float], float]]:
        """What two pairs of frames agree on."""
        votes: list[tuple[tuple[float, float], float]] = []
        agreed: list[tuple[tuple[float, float], float]] = []
        for ahead in _AHEAD:
            for other in (time + ahead, time - ahead):
                if not 0 <= other < len(self.pictures):
                    continue
                for centre, radius in self._moving(time, other):
                    if any(math.dist(centre, known) <= reach for known, reach in agreed):
                        continue
                    for (u, v), reach in votes:
                        alike = abs(radius - reach) <= _ALIKE * reach
                        if alike and math.dist(centre, (u, v)) <= _AGREED:
                            middle = (u + centre[0]) / 2, (v + centre[1]) / 2
                            agreed.append((middle, (radius + reach) / 2))
                            yield agreed[-1]
                            break
                    else:
                        votes.append((centre, radius))

    def _moving(self, time: int, other: int) -> Iterator[tuple[tuple[float, float], float]]:
        """Centres and radii of what goes elsewhere than the ground between two pictures."""
        here, there = self.pictures[time], self.pictures[other]
        flow, ground = self._flow(here, there)
        apart = ((flow - ground) ** 2).sum(-1) > _MOVED**2
        count, labels, statistics, _ = self.cv2.connectedComponentsWithStats(apart.astype(np.uint8))
        sizes = statistics[:, self.cv2.CC_STAT_AREA]
        for label in sorted(range(1, count), key=lambda index: -int(sizes[index]))[:8]:
            if sizes[label] < _SMALLEST / 2:
                break
            step = np.median(flow[labels == label], axis=0)
            # What is plain ahead of a moving thing goes with it as well as it rests, and behind it
            # the same backwards in time; the thing is what both directions agree on.
            forth = self._explained(here, there, step, ground)
            back = self._explained(there, here, -step, -ground)
            mask = self._closed(self.cv2.bitwise_and(forth, self._shifted(back, step)))
            yield from self._whole(mask)

    def _difference(self, time: int) -> Mask:
        assert self.at_rest is not None
        gap = self.cv2.absdiff(self.pictures[time], self.at_rest)
        most = np.maximum(np.maximum(gap[..., 0], gap[..., 1]), gap[..., 2])
        return self._closed((self.cv2.blur(most, (3, 3)) > _OTHER).astype(np.uint8))

    def _ground(self) -> Picture | None:
        """The ground where it rests: its one colour where it is plain, or the median of frames."""
        first = self.pictures[0]
        colour = np.median(first.reshape(-1, 3), axis=0)
        if (np.abs(first - colour).max(-1) < _PLAIN).mean() > _UNIFORM:
            return np.broadcast_to(colour.round(), first.shape).astype(np.uint8)
        if len(self.pictures) < 5:
            return None
        times = np.unique(np.linspace(0, len(self.pictures) - 1, _RESTING).round().astype(int))
        for one, other in ((0, 1), (len(times) // 2, len(times) // 2 + 1), (0, len(times) - 1)):
            _, moved = self._flow(self.pictures[times[one]], self.pictures[times[other]])
            if np.abs(moved).max() > _STILL:
                return None
        ground = np.median([self.pictures[time] for time in times], axis=0)
        return ground.round().astype(np.uint8)

    def _flow(self, here: Picture, there: Picture) -> tuple[Array, Array]:
        """The flow from one picture to another, and that of the ground."""
        cv2 = self.cv2
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (here, there)]
        flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(*grey, None)
        return flow, np.median(flow[::4, ::4].reshape(-1, 2), axis=0)

    def _explained(self, here: Picture, there: Picture, step: Array, ground: Array) -> Mask:
        """Where a picture is found in another one a step away rather than where the ground goes."""
        thirds = np.full((1, 3), 1 / 3, np.float32)
        moved, rested = (
            self.cv2.transform(
                self.cv2.blur(self.cv2.absdiff(self._shifted(there, way), here), (5, 5)).astype(
                    np.float32
                ),
                thirds,
            )
            for way in (step, ground)
        )
        return np.asarray((moved + _MARGIN < rested) & (moved < _EXACT)).astype(np.uint8)

    def _shifted(self, picture: Any, step: Array) -> Any:
        """A picture as it is a step further on."""
        matrix = np.array([[1, 0, -step[0]], [0, 1, -step[1]]], np.float32)
        size = (picture.shape[1], picture.shape[0])
        return self.cv2.warpAffine(picture, matrix, size, borderMode=self.cv2.BORDER_REPLICATE)

    def _closed(self, mask: Mask) -> Mask:
        mask = self.cv2.morphologyEx(mask, self.cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        opened: Mask = self.cv2.morphologyEx(mask, self.cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        return opened

    def _whole(self, mask: Mask) -> Iterator[tuple[tuple[float, float], float]]:
        """Centres and radii of what is whole in a mask: within the frame, and of one piece."""
        cv2 = self.cv2
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        rows, columns = mask.shape
        for outline in outlines:
            left, top, width, height = cv2.boundingRect(outline)
            if left <= 2 or top <= 2 or left + width >= columns - 2 or top + height >= rows - 2:
                continue
            filled = cv2.drawContours(np.zeros_like(mask), [outline], -1, 1, -1)
            area = float(filled.sum())
            hull = float(cv2.contourArea(cv2.convexHull(outline)))
            if not _SMALLEST <= area <= _LARGEST * mask.size or area < _SOLID * hull:
                continue
            ys, xs = np.nonzero(filled)
            centre = float(xs.mean()) + 0.5, float(ys.mean()) + 0.5
            yield centre, math.sqrt(area / math.pi)
