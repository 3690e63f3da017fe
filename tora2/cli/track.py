"""`python -m tora2 track VIDEO`: a trajectory document from a video."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import check_writable
from .tracking import add_tracker, load_tracker

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluation.following import Thing


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "track", help="follow things through a video and write their paths"
    )
    parser.add_argument("video", metavar="VIDEO", help="a video file")
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="a .json file")
    parser.add_argument(
        "--points",
        nargs="+",
        default=[],
        metavar="X,Y[@FRAME]",
        help="points on things, in pixels of the video; in frame 0 if not said",
    )
    parser.add_argument(
        "--masks",
        nargs="+",
        type=Path,
        default=[],
        metavar="PICTURE",
        help="one picture a thing, white where it is in frame 0",
    )
    add_tracker(parser)
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1.0,
        metavar="PIXELS",
        help="how far a path may leave what was followed, for fewer control points (default 1)",
    )
    parser.add_argument("--json", action="store_true", help="print what was followed as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Follow, write, and say what was written."""
    from ..evaluation.following import follow, place
    from ..fields import number
    from ..files import atomic_path
    from ..trajectory.document import MAX_FRAMES, dumps
    from ..video import read_video

    output: Path = arguments.output
    if output.suffix.lower() != ".json":
        raise ValueError(f"cannot write {output}, expected a name that ends in .json")
    check_writable(output)
    if not arguments.points and not arguments.masks:
        raise ValueError("nothing is to be followed, expected --points X,Y or --masks PICTURE")
    tolerance = number(arguments.tolerance, "--tolerance", 0.1, 1000)
    places = [place(text, "--points") for text in arguments.points]
    tracker = load_tracker(arguments)
    frames, fps = read_video(arguments.video, MAX_FRAMES)
    things = _things(frames, places, arguments.masks)
    document = follow(frames, fps, things, tracker, tolerance)
    with atomic_path(output) as temporary:
        temporary.write_text(dumps(document), encoding="utf-8")
    count, height, width, _ = frames.shape
    if arguments.json:
        figures = {
            "output": str(output),
            "tracker": tracker.name,
            "tracker_licence": tracker.licence,
            "resolution": {"width": width, "height": height},
            "frames": count,
            "entities": [entity.id for entity in document.entities],
            "tracks": len(document.tracks),
        }
        print(json.dumps(figures, indent=2))
        return 0
    for entity in document.entities:
        own = [track for track in document.tracks if track.entity == entity.id]
        shown = ", ".join(f"{track.start} to {track.end}" for track in own)
        points = sum(len(track.points) for track in own)
        print(f"{entity.name}: frames {shown}, {points} control points")
    print(f"followed by {tracker.name} ({tracker.licence}) at {width}x{height}, {count} frames")
    print(output)
    return 0


def _things(
    frames: Tensor, places: list[tuple[float, float, int]], masks: list[Path]
) -> list[Thing]:
    from ..evaluation.following import at_places, from_mask

    height, width = frames.shape[1:3]
    things = at_places(frames, places, "--points")
    for path in masks:
        things.append(from_mask(_mask(path, height, width), 0, _name(path)))
    return things


def _mask(path: Path, height: int, width: int) -> Tensor:
    """[H, W] bool of a picture: white, and where it has transparency, opaque."""
    import torch.nn.functional as F

    from ..encoders.pictures import load_picture

    picture = load_picture(path)
    level = picture.rgb.float().mean(0) / 255
    if picture.alpha is not None:
        level = level * picture.alpha
    return F.interpolate(level[None, None], (height, width))[0, 0] > 0.5


def _name(path: Path) -> str:
    """A mask's file name as far as a document's names go."""
    return "".join(c if c.isprintable() else "?" for c in path.stem)[:80] or "mask"
