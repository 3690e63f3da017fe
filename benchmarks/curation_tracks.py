"""What following entities costs without a GPU: processor seconds of a clip of two seconds.

Two textured discs in 48 frames of 480x852, Lucas-Kanade, both passes: the masks' centres, then
those and eight points in each of three masks. Run python benchmarks/curation_tracks.py.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests/core")]

import cv2  # noqa: E402
import discs  # noqa: E402
import numpy as np  # noqa: E402

from tora2.curation.following import two_passes  # noqa: E402
from tora2.curation.moments import ENTITY, moments  # noqa: E402
from tora2.evaluation.trackers import load  # noqa: E402

FRAMES, SIZE, RADIUS = 48, (480, 852), 60.0


def main() -> None:
    """One line."""
    cv2.setNumThreads(1)
    paths = [
        discs.arc((300, 240), 120, FRAMES),
        discs.straight((600, 100), (700, 380), FRAMES),
    ]
    few = [path[:: FRAMES // 12] for path in paths]
    drawn = discs.video(few, SIZE, RADIUS).numpy()
    video = np.repeat(drawn, FRAMES // 12, 0)[:FRAMES]
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    masks = []
    for path in few:
        held = np.repeat(path, FRAMES // 12, 0)
        masks.append(
            {
                place: np.hypot(xs - held[place, 0], ys - held[place, 1]) < RADIUS
                for place in moments(FRAMES, ENTITY)
            }
        )
    begun = time.process_time()
    found = two_passes(video, masks, load("lucas_kanade"))
    spent = time.process_time() - begun
    good = sum(one is not None for one in found)
    print(f"{spent:.1f} processor seconds for {FRAMES} frames and {good} entities")


if __name__ == "__main__":
    main()
