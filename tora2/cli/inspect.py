"""`python -m tora2 inspect FILE`: what a checkpoint holds, what is missing, where to get it."""

from __future__ import annotations

import argparse
import json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "inspect", help="say what a checkpoint holds, what is missing, and where to get it"
    )
    parser.add_argument("file", metavar="FILE", help="a file, a folder, or tiny")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the inspection."""
    from ..checkpoints import inspect

    found = inspect(arguments.file)
    print(json.dumps(found.to_dict(), indent=2, ensure_ascii=False) if arguments.json else found)
    return 0
