"""`python -m tora2 train CONFIG`: train as a YAML file says."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "train", help="train as a configuration says, or go on where an earlier run stopped"
    )
    parser.add_argument("config", metavar="CONFIG", help="a YAML file such as configs/tiny.yaml")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, and say where the model is."""
    from ..training.recipes.tiny import run as train

    print(train(arguments.config))
    return 0
