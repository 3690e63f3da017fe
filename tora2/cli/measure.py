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

    from ..evaluation.clip import Clip
    from ..evaluation.measuring import PathError, TrajectoryReport
    from ..scene import Scene
    from ..trajectory import TrajectoryDocument

METRICS = ("trajectory", "text", "video")


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
        help="what to measure: trajectory (TrajError, the default), text (Text-S), video (Vid-S)",
    )
    add_tracker(parser)
    parser.add_argument(
        "--anchor",
        choices=("path", "thing"),
        help="follow what is where the path begins, as the paper does, or the centre of the thing "
        "that is there (the default of lucas_kanade)",
    )
    parser.add_argument(
        "--clip", type=Path, metavar="FOLDER", help="CLIP ViT-L/14, for text and video"
    )
    parser.add_argument(
        "--reference", metavar="VIDEO", help="the video that the scene was taken from, for video"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--picture", type=Path, metavar="PNG", help="write frames with requested and measured paths"
    )
    parser.add_argument("--chart", type=Path, metavar="PNG", help="write the error over time")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, draw, and print."""
    from ..fields import choice
    from ..video import read_video

    metrics = [choice(name, "--metrics", METRICS) for name in arguments.metrics.split(",")]
    _check(arguments, metrics)
    document, scene = _read(arguments.scene)
    tracker = load_tracker(arguments) if "trajectory" in metrics else None
    clip = _clip(arguments, metrics, scene)
    frames, _ = read_video(arguments.video)
    figures: dict[str, Any] = {"video": arguments.video, "scene": arguments.scene}
    lines: list[str] = []
    if tracker is not None:
        from ..evaluation.measuring import measure_trajectories

        usual = "thing" if tracker.name == "lucas_kanade" else "path"
        anchor = arguments.anchor or usual
        report = measure_trajectories(frames, document, tracker, _pictures(scene), anchor)
        words = _words(document, scene)
        _draw(arguments, frames, document, report, words)
        figures |= _figures(report, document, words)
        lines += _lines(report, document, words)
    if clip is not None:
        for (key, name), value in _similarities(arguments, clip, frames, scene, metrics).items():
            figures[key] = value
            lines.append(f"{name}: {value:.3f}")
    print(json.dumps(figures, indent=2) if arguments.json else "\n".join(lines))
    return 0


def _check(arguments: argparse.Namespace, metrics: list[str]) -> None:
    """Refuse what could not be done after the work."""
    from ..evaluation.pictures import check_plotting, check_png

    for picture in (arguments.picture, arguments.chart):
        if picture is not None:
            if "trajectory" not in metrics:
                raise ValueError(f"there are no paths on {picture}, expected --metrics trajectory")
            check_png(picture)
            check_writable(picture)
    if arguments.chart is not None:
        check_plotting()


def _clip(arguments: argparse.Namespace, metrics: list[str], scene: Scene | None) -> Clip | None:
    """CLIP where a metric needs it."""
    if not {"text", "video"} & set(metrics):
        return None
    if arguments.clip is None:
        raise ValueError("the metrics text and video need CLIP ViT-L/14, expected --clip FOLDER")
    if "text" in metrics and scene is None:
        raise ValueError(f"{arguments.scene} has no prompt, expected a scene for the metric text")
    if "video" in metrics and arguments.reference is None:
        raise ValueError("the metric video compares two videos, expected --reference VIDEO")
    from ..evaluation.clip import Clip

    return Clip.from_folder(arguments.clip)


def _similarities(
    arguments: argparse.Namespace,
    clip: Clip,
    frames: Tensor,
    scene: Scene | None,
    metrics: list[str],
) -> dict[tuple[str, str], float]:
    """By the keys of JSON and the paper's names."""
    from ..evaluation.clip import reference_frames
    from ..evaluation.metrics.text_similarity import text_similarity
    from ..evaluation.metrics.video_similarity import video_similarity
    from ..video import read_video

    seen = clip.frames(frames)
    found: dict[tuple[str, str], float] = {}
    if "text" in metrics and scene is not None:
        found["text_similarity", "Text-S"] = text_similarity(clip.text(scene.prompt), seen)
    if "video" in metrics:
        references = clip.frames(reference_frames(read_video(arguments.reference)[0]))
        found["video_similarity", "Vid-S"] = video_similarity(seen, references)
    return found


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
            track.id: {
                "entity": track.entity,
                "anchor": report.anchors[track.id],
                **_error(report.tracks[track.id]),
            }
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
    if beside := [name for name, anchor in report.anchors.items() if anchor == "thing"]:
        lines.append(f"followed from the centre of the thing beside the path: {', '.join(beside)}")
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
