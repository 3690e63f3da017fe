"""`python -m tora2 generate SCENE`: the video of a scene file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .rendering import check_outputs, overlay_path, render, save, save_overlay

if TYPE_CHECKING:
    from torch import Tensor

    from ..scene import Scene


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser("generate", help="make the video of a scene file")
    parser.add_argument("scene", metavar="SCENE", help="a scene as JSON, its pictures beside it")
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="an .mp4 file")
    parser.add_argument(
        "--model", default="tiny", metavar="MODEL", help="tiny (the bundled one) or a folder"
    )
    parser.add_argument(
        "--adapter", metavar="PATH", help="a Tora2 adapter or Tora's parts, for the model's own"
    )
    parser.add_argument(
        "--image", type=Path, metavar="PICTURE", help="the first frame, for image-to-video models"
    )
    parser.add_argument(
        "--no-learned-positions",
        action="store_true",
        help="without the learned positions of image-to-video models, as Tora's own code",
    )
    parser.add_argument(
        "--offload", action="store_true", help="parts wait on the CPU: less memory on the GPU"
    )
    parser.add_argument(
        "--tiled", action="store_true", help="encode and decode in tiles: less memory"
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

    from ..evaluation.report import measure, report
    from ..pipeline import Tora2Pipeline

    image = None if arguments.image is None else _first_frame(arguments.image, scene)
    pipeline = Tora2Pipeline.from_pretrained(
        arguments.model,
        adapter=arguments.adapter,
        learned_positions=not arguments.no_learned_positions,
        offload=arguments.offload,
    )
    if arguments.tiled:
        pipeline.tile()
    result = render(pipeline, scene, image)
    save(output, result, scene)
    measured = None
    if arguments.model == "tiny" and scene.trajectories.tracks:
        measured = measure(result, scene)
        print("\n".join(report(result, scene, measured)))
    if overlay is not None:
        save_overlay(overlay, result, scene, measured)
    return 0


def _first_frame(path: Path, scene: Scene) -> Tensor:
    """[3, H, W] in [0, 1]: a picture cut to the shape of the video."""
    from ..encoders.pictures import cover, load_picture, on_white

    document = scene.trajectories
    picture = on_white(load_picture(path))
    return cover(picture, (document.height, document.width)).float() / 255
