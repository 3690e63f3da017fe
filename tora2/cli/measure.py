"""`python -m tora2 measure VIDEO SCENE`: one video against what was asked of it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import check_writable
from .tracking import add_tracker

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluation.cases import Case
    from ..evaluation.measuring import TrajectoryReport
    from ..trajectory import TrajectoryDocument

_METRICS = ("trajectory", "text", "video", "subject", "face", "dynamic", "binding")


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
        help="what to measure: trajectory (TrajError, the default), text (Text-S), video (Vid-S), "
        "subject (Subj-S), face (Face-S), dynamic (Dync-D), binding (the share of points at which "
        "the colour is the entity's own)",
    )
    add_tracker(parser)
    parser.add_argument(
        "--anchor",
        choices=("path", "thing"),
        help="follow what is where the path begins, as the paper does, or the centre of the thing "
        "that is there or moves beside it (the default of lucas_kanade)",
    )
    parser.add_argument(
        "--clip", type=Path, metavar="FOLDER", help="CLIP ViT-L/14, for text and video"
    )
    parser.add_argument(
        "--reference", metavar="VIDEO", help="the video that the scene was taken from, for video"
    )
    parser.add_argument(
        "--subjects",
        type=Path,
        metavar="FOLDER",
        help="folders grounding (Grounding DINO), sam and dino (ViT-B/16), for subject",
    )
    parser.add_argument(
        "--faces", type=Path, metavar="FOLDER", help="insightface's ONNX files, for face"
    )
    parser.add_argument("--raft", type=Path, metavar="FILE", help="torchvision's RAFT, for dynamic")
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

    metrics = [choice(name, "--metrics", tuple(_METRICS)) for name in arguments.metrics.split(",")]
    _check(arguments, metrics)
    case = _read(arguments.scene, arguments.reference)
    _check_case(arguments, metrics, case)
    from ..evaluation.cases import words
    from ..evaluation.scoring import KEYS, METRICS, Scorer, Weights
    from ..evaluation.summary import figures, sentences

    weights = Weights(
        arguments.clip,
        arguments.subjects,
        arguments.faces,
        arguments.raft,
        arguments.tracker_weights,
    )
    scorer = Scorer(metrics, weights, arguments.tracker, arguments.anchor)
    frames, fps = read_video(arguments.video)
    found: dict[str, Any] = {"video": arguments.video, "scene": arguments.scene}
    lines: list[str] = []
    for metric in metrics:
        if metric == "trajectory":
            report = scorer.trajectories(frames, case)
            assert case.document is not None
            named = words(case)
            _draw(arguments, frames, case.document, report, named)
            found |= figures(report, case.document, named)
            lines += sentences(report, case.document, named)
        else:
            figure = scorer.similarities(frames, fps, case, metric)
            found |= figure
            lines.append(f"{METRICS[metric]}: {figure[KEYS[metric]]:.3f}")
            for name, value in figure.get("subjects", {}).items():
                lines.append(f"{METRICS[metric]} of {words(case)[name]} ({name}): {value:.3f}")
    print(json.dumps(found, indent=2) if arguments.json else "\n".join(lines))
    return 0


def _check(arguments: argparse.Namespace, metrics: list[str]) -> None:
    """Refuse what could not be done after the work."""
    from ..evaluation.charts import check_plotting
    from ..evaluation.pictures import check_png

    for picture in (arguments.picture, arguments.chart):
        if picture is not None:
            if "trajectory" not in metrics:
                raise ValueError(f"there are no paths on {picture}, expected --metrics trajectory")
            check_png(picture)
            check_writable(picture)
    if arguments.chart is not None:
        check_plotting()


def _check_case(arguments: argparse.Namespace, metrics: list[str], case: Case) -> None:
    """Refuse what the networks would be loaded for in vain."""
    from ..evaluation.scoring import Weights, check_weights

    check_weights(
        metrics, Weights(arguments.clip, arguments.subjects, arguments.faces, arguments.raft)
    )
    if "text" in metrics and case.scene is None:
        raise ValueError(f"{arguments.scene} has no prompt, expected a scene for the metric text")
    if "video" in metrics and arguments.reference is None:
        raise ValueError("the metric video compares two videos, expected --reference VIDEO")


def _read(path: str, reference: str | None) -> Case:
    """A scene file, or a trajectory document, which has no prompt."""
    from ..evaluation.cases import of_document, of_scene
    from ..fields import load_json
    from ..files import read_bounded
    from ..scene import MAX_FILE, load_scene
    from ..trajectory import parse

    if Path(path).is_dir():
        load_scene(path)  # says what it expected
    try:
        value = load_json(read_bounded(path, MAX_FILE), "the scene", MAX_FILE)
        if isinstance(value, dict) and not {"prompt", "trajectories"} & value.keys():
            return of_document(parse(value))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return of_scene(load_scene(path), video=reference)


def _draw(
    arguments: argparse.Namespace,
    frames: Tensor,
    document: TrajectoryDocument,
    report: TrajectoryReport,
    words: dict[str, str],
) -> None:
    from ..evaluation.pictures import error_chart, paths_picture, save_picture
    from ..overlay import track_colors

    colors = track_colors(document)
    labels = {track.id: words.get(track.entity or "", track.id) for track in document.tracks}
    if arguments.picture is not None:
        picture = paths_picture(frames, report, colors, list(labels.values()))
        save_picture(picture, arguments.picture)
    if arguments.chart is not None:
        save_picture(error_chart(report, colors, labels), arguments.chart)
