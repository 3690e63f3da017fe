"""What `demo` and `generate` share: checks before the work, progress, and the files after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..files import check_writable

if TYPE_CHECKING:
    from torch import Tensor

    from ..pipeline import Tora2Output, Tora2Pipeline
    from ..scene import Scene

_LEGIBLE = 480


def overlay_path(output: Path) -> Path:
    """Where the overlay of a video goes: beside it."""
    return output.with_stem(f"{output.stem}_overlay")


def check_outputs(scene: Scene, *outputs: Path) -> None:
    """Refuse outputs that could not be written after the long work.

    Raises:
        OSError: if a folder is missing, or a file or folder is not writable.
        ValueError: if H.264 does not take the size, or a name does not end in .mp4.
    """
    from ..video import check_video

    document = scene.trajectories
    for output in outputs:
        check_video(output, (document.height, document.width))
        check_writable(output)


def render(pipeline: Tora2Pipeline, scene: Scene, image: Tensor | None = None) -> Tora2Output:
    """Generate with a progress bar on stderr, from a first frame where the model takes one."""
    from tqdm import tqdm

    with tqdm(total=scene.sampling.steps, desc="sampling", unit="step") as bar:

        def show(step: int, steps: int) -> None:
            bar.update(step - bar.n)

        return pipeline(scene, callback=show, image=image)


def save(output: Path, result: Tora2Output, scene: Scene) -> None:
    """Write the video, and say so."""
    from ..video import write_video

    write_video(output, result.frames, scene.trajectories.fps)
    count, height, width, _ = result.frames.shape
    print(f"{output}: {count} frames at {width}x{height}")


def save_overlay(
    output: Path, result: Tora2Output, scene: Scene, measured: Tensor | None = None
) -> None:
    """Write the video enlarged to a legible size, with the requested and measured paths on it."""
    from ..overlay import draw_tracks, track_colors
    from ..video import write_video

    document = scene.trajectories
    words = {entity.id: entity.word for entity in scene.entities}
    labels = [words.get(track.entity or "", "") for track in document.tracks]
    drawn = draw_tracks(
        result.frames,
        result.tracks,
        track_colors(document),
        measured=measured,
        scale=_scale(*result.frames.shape[1:3]),
        labels=labels,
    )
    write_video(output, drawn, document.fps)
    lines = "requested paths" if measured is None else "requested paths, and measured ones dashed"
    print(f"{output}: the same with {lines}")


def _scale(height: int, width: int) -> int:
    """The factor that makes the short side legible and leaves the long one writable."""
    from ..video import MAX_SIDE

    short, long = sorted((height, width))
    return max(1, min(-(-_LEGIBLE // short), MAX_SIDE // long))
