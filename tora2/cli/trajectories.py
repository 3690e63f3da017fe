"""`python -m tora2 trajectories convert IN… OUT`: path files of one tool for another."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    group = subparsers.add_parser("trajectories", help="files with paths")
    actions = group.add_subparsers(dest="action", metavar="ACTION", required=True)
    parser = actions.add_parser(
        "convert", help="read path files of any known format and write one of another"
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help="a file, or several of Tora's with a path each"
    )
    parser.add_argument("output", metavar="OUT", help="a .json, .npz, .csv or .txt file")
    parser.add_argument(
        "--format", help="document, points, tracks, csv or tora; by the extension of OUT if absent"
    )
    size = "pixels of the canvas, for formats that do not say"
    parser.add_argument("--width", type=int, default=720, help=size)
    parser.add_argument("--height", type=int, default=480, help=size)
    parser.add_argument("--frames", type=int, default=49, help="frames, for Tora's files")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what was written."""
    from ..trajectory import formats

    document = formats.load(
        arguments.inputs,
        width=arguments.width,
        height=arguments.height,
        frames=arguments.frames,
    )
    for path in formats.save(document, arguments.output, arguments.format):
        print(path)
    return 0
