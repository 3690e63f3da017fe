"""`python -m tora2 demo`: the bundled model on the bundled scene."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from .rendering import check_outputs, overlay_path, render, save, save_overlay

SCENE = Path(__file__).parents[1] / "assets" / "demo" / "scene.json"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "demo", help="the bundled model on two pictures, two words and two paths"
    )
    parser.add_argument("--output", type=Path, default=Path("demo.mp4"), metavar="PATH")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Generate, draw the overlay, measure."""
    from ..fields import integer
    from ..scene import MAX_SEED, load_scene

    output: Path = arguments.output
    scene = load_scene(SCENE)
    seed = integer(arguments.seed, "--seed", 0, MAX_SEED)
    scene = replace(scene, sampling=replace(scene.sampling, seed=seed))
    overlay = overlay_path(output)
    check_outputs(scene, output, overlay)

    import torch

    from ..evaluation.report import measure, report
    from ..pipeline import Tora2Pipeline

    # The bundled model's matrices are too small to share; threads would wait for one another.
    torch.set_num_threads(1)
    print(f"{scene.prompt!r}, each like its picture in {SCENE.parent}")
    result = render(Tora2Pipeline.from_pretrained("tiny"), scene)
    measured = measure(result, scene)
    save(output, result, scene)
    save_overlay(overlay, result, scene, measured)
    print("\n".join(report(result, scene, measured)))
    return 0
