"""What was measured of a video's paths, as figures for programs and as sentences for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..trajectory import TrajectoryDocument
from .measuring import PathError, TrajectoryReport, is_cut


def figures(
    report: TrajectoryReport, document: TrajectoryDocument, words: Mapping[str, str]
) -> dict[str, Any]:
    """All that was measured, for JSON."""
    requested = report.requested
    overall = report.overall
    error = overall.trajectory_error
    diagonal = math.hypot(requested.width, requested.height)
    height, width = report.resolution
    at_path = report.at_path
    return {
        **_error(overall),
        "trajectory_error_at_720": None if error is None else error * 720 / requested.width,
        "trajectory_error_percent_of_diagonal": None if error is None else error * 100 / diagonal,
        "trajectory_error_at_path": at_path.overall.trajectory_error,
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
                "rests": track.id in report.resting,
                **_error(report.tracks[track.id]),
                "trajectory_error_at_path": at_path.tracks[track.id].trajectory_error,
            }
            for track in document.tracks
        },
    }


def sentences(
    report: TrajectoryReport, document: TrajectoryDocument, words: Mapping[str, str]
) -> list[str]:
    """All that was measured, a line each."""
    requested = report.requested
    lines = []
    if (requested.width, requested.height) != (document.width, document.height):
        lines.append(
            f"the paths of {document.width}x{document.height} are stretched over "
            f"{requested.width}x{requested.height} pixels"
        )
    if is_cut(document.frames, requested.frames):
        lines.append(f"of the paths' {document.frames} frames the first {requested.frames} count")
    elif requested.frames != document.frames:
        lines.append(f"the paths of {document.frames} frames are stretched over {requested.frames}")
    for name, word in words.items():
        lines.append(f"TrajError of {word} ({name}): {said(report.entities.get(name))}")
    for track in document.tracks:
        if track.entity is None:
            lines.append(f"TrajError of the path {track.id}: {said(report.tracks[track.id])}")
    if beside := [name for name, anchor in report.anchors.items() if anchor != "path"]:
        lines.append(
            f"followed from the centre of the thing beside the path: {', '.join(beside)}; "
            f"from where the path begins, TrajError is {said(report.at_path.overall)}"
        )
    if report.resting:
        lines.append(
            f"what is where the path begins does not move, and may be the ground: "
            f"{', '.join(report.resting)}"
        )
    height, width = report.resolution
    lines.append(f"TrajError: {said(report.overall)}")
    lines.append(f"measured by {report.tracker} ({report.licence}) at {width}x{height}")
    return lines


def said(found: PathError | None) -> str:
    """One error in words."""
    if found is None or not found.tracks:
        return "not measured, it has no path"
    if not found.points:
        return "not measured, its path is nowhere visible within the frame"
    if found.trajectory_error is None and found.points <= found.tracks:
        return "not measured, its path counts in one frame alone"
    if found.trajectory_error is None:
        return "not measured, nothing could be followed where its path begins"
    return f"{found.trajectory_error:.2f} px, seen at {found.seen:.0%} of its points"


def _error(found: PathError | None) -> dict[str, Any]:
    """None is an entity of the scene that its document does not name."""
    nothing = {"trajectory_error": None, "euclidean": None, "seen": 0.0, "tracks": 0}
    return nothing if found is None else {name: vars(found)[name] for name in nothing}
