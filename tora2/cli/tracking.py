"""What `measure` and `track` share: which tracker."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..evaluation.trackers import Tracker


def add_tracker(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `load_tracker` reads."""
    parser.add_argument(
        "--tracker",
        default="lucas_kanade",
        metavar="NAME",
        help="lucas_kanade (the default, without weights), colour (for the bundled model), "
        "cotracker3 or raft",
    )
    parser.add_argument(
        "--tracker-weights", type=Path, metavar="PATH", help="the weights of cotracker3 or raft"
    )


def load_tracker(arguments: argparse.Namespace) -> Tracker:
    """The chosen tracker.

    Raises:
        ValueError, OSError: in words, what it needs and is not here.
    """
    from ..evaluation.trackers import load

    return load(arguments.tracker, arguments.tracker_weights)
