"""`python -m tora2 generate SCENE`: the video of a scene file."""

from __future__ import annotations

import argparse
from pathlib import Path

from .measuring import measure, report
from .rendering import check_outputs, overlay_path, render, save, save_overlay


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser("generate", help="make the video of a scene file")
    parser.add_argument("scene", metavar="SCENE", help="a scene as JSON, its pictures beside it")
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="an .mp4 file")
    parser.add_argument(
        "--model", default="tiny", metavar="MODEL", help="tiny (the bundled one) or a folder"
    )
    parser.add_argument(
        "--overlay", action="store_true", help="write another video with the paths drawn on it"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Generate; the bundled model's TrajError is measured as well."""
    from ..scene import load_scene

    output: Path = arguments.output
    scene = load_scene(arguments.scene)
    overlay = overlay_path(output) if arguments.overlay else None
    check_outputs(scene, output, *([] if overlay is None else [overlay]))

    from ..pipeline import Tora2Pipeline

    result = render(Tora2Pipeline.from_pretrained(arguments.model), scene)
    save(output, result, scene)
    measured = None
    if arguments.model == "tiny" and scene.trajectories.tracks:
        measured = measure(result, scene)
        print("\n".join(report(result, scene, measured)))
    if overlay is not None:
        save_overlay(overlay, result, scene, measured)
    return 0
