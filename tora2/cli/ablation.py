"""`python -m tora2 ablation CONFIG`: the paper's ablation tables in miniature."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "ablation", help="train several variants alike and compare them in a table"
    )
    parser.add_argument(
        "config", metavar="CONFIG", help="a YAML file such as configs/ablation.yaml"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train and measure every arm, and print the table."""
    from ..training.ablation import run_ablation

    table = run_ablation(arguments.config)
    print(table.read_text(encoding="utf-8"), end="")
    print(table)
    return 0
