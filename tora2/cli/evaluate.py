"""`python -m tora2 evaluate CONFIG`: measure a model as a YAML file says."""

from __future__ import annotations

import argparse
import json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "evaluate", help="measure binding and trajectory error of a model"
    )
    parser.add_argument(
        "config", metavar="CONFIG", help="a YAML file such as configs/evaluate.yaml"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print the figures."""
    from ..evaluation.benchmark import run_evaluation

    print(json.dumps(run_evaluation(arguments.config), indent=2))
    return 0
