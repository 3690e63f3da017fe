"""`python -m tora2 customize CONFIG`: LoRAs of a motion and of subjects, from little."""

from __future__ import annotations

import argparse

from . import planning


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "customize", help="learn a motion from a few clips or subjects from a few pictures"
    )
    parser.add_argument(
        "config", metavar="CONFIG", help="a YAML file such as configs/motion_lora.yaml"
    )
    planning.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, and say where the LoRAs are; a run that was asked to end leaves a checkpoint."""
    if arguments.plan:
        return planning.run_customization(arguments)
    from ..training.loop import Terminated
    from ..training.recipes.customize import run as customize

    try:
        files = customize(arguments.config)
    except Terminated as ended:
        print(f"{ended}; the same command goes on from there")
        return 0
    for file in files:
        print(file)
    return 0
