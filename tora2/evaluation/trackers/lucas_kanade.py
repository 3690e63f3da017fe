"""Pyramidal Lucas-Kanade with a forward-backward check: needs OpenCV and no weights.

A small grid of points around the query moves from frame to frame, and the median of those that
come back to where they were when followed backwards is how the query moved (Kalal et al.,
"Forward-Backward Error", 2010). So that small errors do not add up, the place is then compared with
the query's own frame. What is lost is looked for by its looks, near where it was last seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import Followed, Query, check_queries, no_weights

Array = npt.NDArray[np.float32]

_GRID = 5
_RETURN = 1.0  # pixels from where a point began to where it comes back at most
_LEAST = 0.35  # share of the grid that must come back
_ALIKE = 0.8  # correlation with the query's own frame for a place to be its
_SAME = 0.85  # and for one that was looked for
_ALIKE_NEXT = 0.4  # and between one frame and the next
_HIDDEN, _RECENT = 0.5, 6  # what falls below this from `_ALIKE` in so many frames is hidden
_FLAT = 2.0  # grey levels of deviation below which there is nothing to follow
_LEVELS = 4


def load(weights: str | os.PathLike[str] | None = None) -> LucasKanade:
    """See `trackers.load`."""
    no_weights("lucas_kanade", weights)
    try:
        import cv2
    except ImportError:
        raise ValueError(
            "the tracker lucas_kanade needs OpenCV; "
            "install it with: pip install 'comfyui-tora2[measure]'"
        ) from None
    return LucasKanade(cv2)


class LucasKanade:
    """See the module."""

    name = "lucas_kanade"
    licence = "OpenCV, Apache-2.0"

    def __init__(self, cv2: Any) -> None:
        self.cv2 = cv2

    def follow(self, frames: Tensor, queries: Sequence[Query]) -> Followed:
        """See `Tracker.follow`."""
        check_queries(frames, queries)
        count, height, width, _ = frames.shape
        pictures = [frame.cpu().numpy() for frame in frames]
        points = np.full((len(queries), count, 2), np.nan, np.float32)
        if queries:
            self._pass(pictures, queries, range(count), points)
            self._pass(pictures, queries, range(count - 1, -1, -1), points)
        return Followed(torch.from_numpy(points) + 0.5, (height, width))

    def _pass(
        self, pictures: list[Any], queries: Sequence[Query], order: Iterable[int], points: Array
    ) -> None:
        """Fill in `points` in one direction of time, in OpenCV's coordinates."""
        things = [_Thing(self.cv2, pictures[query.frame], query) for query in queries]
        flow = _Flow(self.cv2, pictures[0].shape[:2])
        before = -1
        for time in order:
            moving = [thing for thing in things if thing.found]
            if moving:
                flow.step(pictures[before], pictures[time], moving)
            for thing in things:
                if thing.began and not thing.found:
                    thing.search(pictures[time])
            for start in {thing.start for thing in things if thing.found}:
                flow.anchor(
                    pictures[start],
                    pictures[time],
                    [t for t in things if t.found and t.start == start],
                )
            for row, thing in enumerate(things):
                if thing.start == time and not thing.flat:
                    thing.began, thing.found = True, True
                elif thing.found:
                    thing.check(pictures[time])
                if thing.found:
                    points[row, time] = thing.place
            before = time


class _Thing:
    """What one query follows, and where it is."""

    def __init__(self, cv2: Any, picture: Any, query: Query) -> None:
        self.cv2 = cv2
        self.start = query.frame
        self.origin = np.array([query.x, query.y], np.float32) - np.float32(0.5)
        self.place = self.before = self.origin
        self.began = self.found = False
        self.missed = 0
        self.side = _odd(min(picture.shape[:2]) / 28, 13)
        self.looks = self.patch(picture, self.origin)
        self.recent = [1.0]
        self.flat = float(self.looks.std((0, 1)).max()) < _FLAT

    def patch(self, image: Any, place: Array) -> Array:
        """What is around a place."""
        side = (self.side, self.side)
        centre = (float(place[0]), float(place[1]))
        patch: Array = self.cv2.getRectSubPix(image, side, centre).astype(np.float32)
        return patch

    def move(self, place: Array | None, shape: tuple[int, int]) -> None:
        """Go on to a place, or be lost: where there is none, and off the frame."""
        height, width = shape
        if place is None or not (-0.5 <= place[0] < width and -0.5 <= place[1] < height):
            self.found, self.missed = False, 0
        else:
            self.place = place

    def guess(self) -> Array:
        """Where it would be if it went on as it went."""
        return self.place + (self.place - self.before)

    def check(self, image: Any) -> None:
        """Be lost where looks changed all at once: something else came before it."""
        self.recent = [*self.recent[-_RECENT:], _alike(self.looks, self.patch(image, self.place))]
        if self.recent[-1] < _HIDDEN and max(self.recent) > _ALIKE:
            self.move(None, image.shape[:2])

    def search(self, image: Any) -> None:
        """Look for what was lost by its looks, the farther the longer it has been away."""
        self.missed += 1
        height, width = image.shape[:2]
        half = self.side // 2
        reach = half + min(height, width) // 6 * min(self.missed, 4)
        x, y = (int(round(float(value))) for value in self.place)
        left, top = max(x - reach, 0), max(y - reach, 0)
        part = image[top : min(y + reach + 1, height), left : min(x + reach + 1, width)]
        if min(part.shape[:2]) < self.side:
            return
        template = self.looks.round().astype(np.uint8)
        alike = self.cv2.matchTemplate(part, template, self.cv2.TM_CCOEFF_NORMED)
        _, best, _, corner = self.cv2.minMaxLoc(np.nan_to_num(alike, posinf=-1, neginf=-1))
        if best > _SAME:
            self.found, self.recent = True, [best]
            place = np.array([left + corner[0] + half, top + corner[1] + half], np.float32)
            self.place = self.before = place


class _Flow:
    """Lucas-Kanade for the grids of several things at once."""

    def __init__(self, cv2: Any, shape: tuple[int, int]) -> None:
        self.cv2 = cv2
        self.shape = shape
        side = _odd(min(shape) / 20, 9)
        spread = np.linspace(-side / 4, side / 4, _GRID, dtype=np.float32)
        self.grid = np.stack(np.meshgrid(spread, spread), -1).reshape(-1, 2)
        self.side = side
        self.options = {
            "winSize": (side, side),
            "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
        }

    def step(self, before: Any, after: Any, things: Sequence[_Thing]) -> None:
        """Move things that are found from one frame to the next."""
        places = np.stack([thing.place for thing in things])
        guesses = np.stack([thing.guess() for thing in things])
        moved = self._moved(before, after, places, guesses, _LEVELS)
        for thing, place in zip(things, moved, strict=True):
            thing.before = thing.place
            if place is not None:
                same = _alike(thing.patch(before, thing.place), thing.patch(after, place))
                place = place if same > _ALIKE_NEXT else None
            thing.move(place, self.shape)

    def anchor(self, first: Any, image: Any, things: Sequence[_Thing]) -> None:
        """Correct places by the frame of the query, where it still looks alike there."""
        origins = np.stack([thing.origin for thing in things])
        guesses = np.stack([thing.place for thing in things])
        moved = self._moved(first, image, origins, guesses, 0)
        for thing, place in zip(things, moved, strict=True):
            if place is None or np.abs(place - thing.place).max() > self.side / 3:
                continue
            better = _alike(thing.looks, thing.patch(image, place))
            if better > _ALIKE and better >= _alike(thing.looks, thing.patch(image, thing.place)):
                thing.move(place, self.shape)

    def _moved(
        self, before: Any, after: Any, places: Array, guesses: Array, levels: int
    ) -> list[Array | None]:
        """Where places [n, 2] of one frame are in another; None where too few points come back."""
        start, guess = self._grids(places), self._grids(guesses)
        there, went = self._tracked(before, after, start, guess, levels)
        back, came = self._tracked(after, before, there, there - (guess - start), levels)
        shape = (len(places), -1, 2)
        error = np.linalg.norm((back - start).reshape(shape), axis=-1)
        good = (went & came).astype(bool).reshape(error.shape) & (error < _RETURN)
        steps = (there - start).reshape(shape)
        return [
            place + np.median(step[kept], axis=0) if kept.mean() >= _LEAST else None
            for place, step, kept in zip(places, steps, good, strict=True)
        ]

    def _tracked(
        self, before: Any, after: Any, start: Array, guess: Array, levels: int
    ) -> tuple[Array, npt.NDArray[np.uint8]]:
        before, after = (self.cv2.cvtColor(p, self.cv2.COLOR_RGB2GRAY) for p in (before, after))
        there, found, _ = self.cv2.calcOpticalFlowPyrLK(
            before,
            after,
            start,
            guess.copy(),
            maxLevel=levels,
            flags=self.cv2.OPTFLOW_USE_INITIAL_FLOW,
            **self.options,
        )
        return there, found

    def _grids(self, places: Array) -> Array:
        grids: Array = (places[:, None] + self.grid).reshape(-1, 1, 2).astype(np.float32)
        return grids


def _alike(one: Array, other: Array) -> float:
    """Correlation of two patches; 0 where one of them is flat."""
    one, other = one - one.mean((0, 1)), other - other.mean((0, 1))
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0


def _odd(value: float, least: int) -> int:
    """An odd number of pixels from `least` to 31."""
    return int(np.clip(value, least, 31)) // 2 * 2 + 1
