"""SpriteBind's clips as cases: scenes that are drawn from a seed, with the videos that they are of.

They let the bundled model, and any other, be measured by what measures everything else; the drawn
videos themselves, as a system of their own, say how exact that is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from ..data.spritebind import Clip, SpriteBind, SpriteBindConfig
from ..files import atomic_path
from ..trajectory import Tracks
from ..trajectory.document import PALETTE
from ..video import write_video

FPS = 8
_SAMPLING = {"steps": 20, "guidance": 1.0}


def draw(folder: Path, split: str, seed: int, count: int) -> list[Path]:
    """Write the first clips of a split that are not there yet.

    Args:
        folder: of the files; it is made where it is missing.
        split, seed: of `SpriteBind`.
        count: how many clips.

    Returns:
        A scene file each, `<split>-<seed>-<index>.json`, with its pictures and its video beside it.

    Raises:
        ValueError: if there is no such split.
        OSError: if they cannot be written.
    """
    data = SpriteBind(SpriteBindConfig(), seed, split)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{split}-{seed}-{index:04d}.json" for index in range(count)]
    for index, file in enumerate(files):
        if not file.is_file():
            _write(file, data[index], index)
    return files


def _write(file: Path, clip: Clip, seed: int) -> None:
    """The scene file comes last: where it is, all of it is."""
    write_video(file.with_suffix(".mp4"), clip.frames.movedim(1, -1), FPS)
    entities = []
    for row, (word, pictures) in enumerate(zip(clip.words, clip.pictures, strict=True)):
        names = [f"{file.stem}.e{row}.{place}.png" for place in range(len(pictures))]
        for name, picture in zip(names, pictures, strict=True):
            _save(file.with_name(name), picture)
        entities.append({"id": f"e{row}", "word": word, "kind": "object", "images": names})
    scene = {
        "version": 1,
        "prompt": clip.caption,
        "entities": entities,
        "trajectories": _document(clip.tracks, clip.words),
        "sampling": {**_SAMPLING, "seed": seed},
    }
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(scene, indent=1) + "\n", encoding="utf-8")


def _document(tracks: Tracks, words: tuple[str, ...]) -> dict[str, Any]:
    """Paths with a key at every frame in which they are visible."""
    drawn = []
    for points, visible, entity in zip(
        tracks.points.tolist(), tracks.visible.tolist(), tracks.entity.tolist(), strict=True
    ):
        times = [time for time, shown in enumerate(visible) if shown]
        keys = [
            {"x": points[time][0] / tracks.width, "y": points[time][1] / tracks.height}
            | ({"frame": time} if times[0] < time < times[-1] else {})
            for time in times
        ]
        drawn.append(
            {
                "id": f"t{entity}",
                "entity": f"e{entity}",
                "curve": "linear",
                "points": keys,
                "start": times[0],
                "end": times[-1],
            }
        )
    return {
        "version": 1,
        "width": tracks.width,
        "height": tracks.height,
        "frames": tracks.frames,
        "fps": FPS,
        "entities": [
            {"id": f"e{row}", "name": word, "color": PALETTE[row]} for row, word in enumerate(words)
        ],
        "tracks": drawn,
    }


def _save(file: Path, picture: Tensor) -> None:
    from PIL import Image

    with atomic_path(file) as temporary:
        Image.fromarray(picture.movedim(0, -1).contiguous().numpy()).save(temporary, "PNG")
