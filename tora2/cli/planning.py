"""`--plan` of `train` and `customize`: what a run costs, without weights."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any


def add_options(parser: argparse.ArgumentParser) -> Any:
    """Add the options of a plan to a command; returns their group."""
    group = parser.add_argument_group("plan")
    group.add_argument(
        "--plan", action="store_true", help="say what the run costs in place of running"
    )
    group.add_argument("--json", action="store_true", help="as JSON")
    group.add_argument("--gpus", type=int, default=1, metavar="N")
    group.add_argument(
        "--card", default="h100", help="4090, a100, h100 (by default) or h200: memory and speed"
    )
    group.add_argument("--memory", type=float, metavar="GIB", help="of each GPU")
    group.add_argument("--tflops", type=float, metavar="T", help="in bfloat16, as its maker says")
    group.add_argument(
        "--utilisation", type=float, metavar="SHARE", help="of that speed, 0.35 by default"
    )
    return group


def run(arguments: argparse.Namespace) -> int:
    """Print the plan of a run of `train`."""
    from ..training import plan

    if arguments.clips is not None and arguments.clips < 1:
        raise ValueError(f"--clips is {arguments.clips}, expected at least 1")
    return _show(arguments, lambda cards: plan.run(arguments.config, cards, arguments.clips))


def run_customization(arguments: argparse.Namespace) -> int:
    """Print the plan of a run of `customize`."""
    from ..training import plan

    return _show(arguments, lambda cards: plan.run_customization(arguments.config, cards))


def _show(arguments: argparse.Namespace, make: Callable[[Any], Any]) -> int:
    from tqdm import tqdm

    from ..training import plan

    cards = plan.cards(
        arguments.card, arguments.gpus, arguments.memory, arguments.tflops, arguments.utilisation
    )
    with tqdm(desc="counting", unit="part", leave=False) as bar:

        def show(what: str) -> None:
            bar.set_postfix_str(what, refresh=False)
            bar.update()

        with plan.watched(show):
            made = make(cards)
    print(json.dumps(made.to_dict(), indent=2) if arguments.json else plan.report(made))
    return 0
