"""`python -m tora2 measure VIDEO SCENE`: one video against what was asked of it."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import check_writable
from .tracking import add_tracker, load_tracker

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluation.measuring import PathError, TrajectoryReport
    from ..scene import Scene
    from ..trajectory import TrajectoryDocument

METRICS = ("trajectory",)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "measure", help="measure how a video kept to the paths of its scene"
    )
    parser.add_argument("video", metavar="VIDEO", help="a video file, of any system")
    parser.add_argument("scene", metavar="SCENE", help="a scene or a trajectory document, as JSON")
    parser.add_argument(
        "--metrics",
        default="trajectory",
        metavar="NAME,…",
        help=f"what to measure: {', '.join(METRICS)}",
    )
    add_tracker(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--picture", type=Path, metavar="PNG", help="write frames with requested and measured paths"
    )
    parser.add_argument("--chart", type=Path, metavar="PNG", help="write the error over time")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, draw, and print."""
    from ..evaluation.measuring import measure_trajectories
    from ..evaluation.pictures import check_plotting, check_png
    from ..fields import choice
    from ..video import read_video

    for name in arguments.metrics.split(","):
        choice(name, "--metrics", METRICS)
    for picture in (arguments.picture, arguments.chart):
        if picture is not None:
            check_png(picture)
            check_writable(picture)
    if arguments.chart is not None:
        check_plotting()
    document, scene = _read(arguments.scene)
    tracker = load_tracker(arguments)
    frames, _ = read_video(arguments.video)
    report = measure_trajectories(frames, document, tracker, _pictures(scene))
    words = _words(document, scene)
    _draw(arguments, frames, document, report, words)
    if arguments.json:
        figures = {"video": arguments.video, "scene": arguments.scene}
        print(json.dumps(figures | _figures(report, document, words), indent=2))
    else:
        print("\n".join(_lines(report, document, words)))
    return 0


def _read(path: str) -> tuple[TrajectoryDocument, Scene | None]:
    """A scene file, or a trajectory document, which has no prompt."""
    from ..fields import load_json
    from ..files import read_bounded
    from ..scene import MAX_FILE, load_scene
    from ..trajectory import parse

    if Path(path).is_dir():
        load_scene(path)  # says what it expected
    try:
        value = load_json(read_bounded(path, MAX_FILE), "the scene", MAX_FILE)
        if isinstance(value, dict) and not {"prompt", "trajectories"} & value.keys():
            return parse(value), None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    scene = load_scene(path)
    return scene.trajectories, scene


def _pictures(scene: Scene | None) -> dict[str, Tensor]:
    """What the scene's entities look like, for trackers that go by it."""
    from ..encoders.pictures import load_picture, on_white

    entities = [] if scene is None else [entity for entity in scene.entities if entity.images]
    return {entity.id: on_white(load_picture(entity.images[0])) for entity in entities}


def _words(document: TrajectoryDocument, scene: Scene | None) -> dict[str, str]:
    """What entities are called: the scene's words, else the document's names."""
    names = {entity.id: entity.name for entity in document.entities}
    words = {} if scene is None else {entity.id: entity.word for entity in scene.entities}
    return names | words


def _draw(
    arguments: argparse.Namespace,
    frames: Tensor,
    document: TrajectoryDocument,
    report: TrajectoryReport,
    words: dict[str, str],
) -> None:
    from ..evaluation.pictures import paths_picture, save_chart, save_picture
    from ..overlay import track_colors

    colors = track_colors(document)
    labels = {track.id: words.get(track.entity or "", track.id) for track in document.tracks}
    if arguments.picture is not None:
        picture = paths_picture(frames, report, colors, list(labels.values()))
        save_picture(picture, arguments.picture)
    if arguments.chart is not None:
        save_chart(report, arguments.chart, colors, labels)


def _figures(
    report: TrajectoryReport, document: TrajectoryDocument, words: dict[str, str]
) -> dict[str, Any]:
    requested = report.requested
    overall = report.overall
    error = overall.trajectory_error
    diagonal = math.hypot(requested.width, requested.height)
    height, width = report.resolution
    return {
        **_error(overall),
        "trajectory_error_at_720": None if error is None else error * 720 / requested.width,
        "trajectory_error_percent_of_diagonal": None if error is None else error * 100 / diagonal,
        "tracker": report.tracker,
        "tracker_licence": report.licence,
        "tracker_resolution": {"width": width, "height": height},
        "resolution": {"width": requested.width, "height": requested.height},
        "frames": requested.frames,
        "scene_frames": document.frames,
        "entities": {
            name: {"word": word, **_error(report.entities.get(name))}
            for name, word in words.items()
        },
        "tracks": {
            track.id: {"entity": track.entity, **_error(report.tracks[track.id])}
            for track in document.tracks
        },
    }


def _error(found: PathError | None) -> dict[str, Any]:
    """None is an entity of the scene that its document does not name."""
    nothing = {"trajectory_error": None, "euclidean": None, "seen": 0.0, "tracks": 0}
    return nothing if found is None else vars(found).copy()


def _lines(
    report: TrajectoryReport, document: TrajectoryDocument, words: dict[str, str]
) -> list[str]:
    requested = report.requested
    lines = []
    if (requested.width, requested.height) != (document.width, document.height):
        lines.append(
            f"the paths of {document.width}x{document.height} are stretched over "
            f"{requested.width}x{requested.height} pixels"
        )
    if requested.frames != document.frames:
        lines.append(f"the paths of {document.frames} frames are stretched over {requested.frames}")
    for name, word in words.items():
        lines.append(f"TrajError of {word} ({name}): {_said(report.entities.get(name))}")
    for track in document.tracks:
        if track.entity is None:
            lines.append(f"TrajError of the path {track.id}: {_said(report.tracks[track.id])}")
    height, width = report.resolution
    lines.append(f"TrajError: {_said(report.overall)}")
    lines.append(f"measured by {report.tracker} ({report.licence}) at {width}x{height}")
    return lines


def _said(found: PathError | None) -> str:
    if found is None or not found.tracks:
        return "not measured, it has no path"
    if found.trajectory_error is None:
        return "not measured, nothing could be followed where its path begins"
    return f"{found.trajectory_error:.2f} px, seen at {found.seen:.0%} of its points"
