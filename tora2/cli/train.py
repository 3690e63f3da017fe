"""`python -m tora2 train CONFIG`: train as a YAML file says, alone or under torchrun."""

from __future__ import annotations

import argparse
import os

from . import planning


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "train", help="train as a configuration says, or go on where an earlier run stopped"
    )
    parser.add_argument("config", metavar="CONFIG", help="a YAML file such as configs/tiny.yaml")
    planning.add_options(parser).add_argument(
        "--clips", type=int, metavar="N", help="of the set, for the disk"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, and say where the result is; a run that was asked to end leaves a checkpoint."""
    if arguments.plan:
        return planning.run(arguments)
    from ..training.loop import Terminated
    from ..training.recipes import run as train

    first = os.environ.get("RANK", "0") == "0"
    try:
        result = train(arguments.config)
    except Terminated as ended:
        if first:
            print(f"{ended}; the same command goes on from there")
        return 0
    if first:
        print(result)
    return 0
