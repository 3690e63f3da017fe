"""`python -m tora2 precompute CONFIG`: encode a set of clips once, for training."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "precompute", help="encode videos, captions, words and pictures of a set of clips"
    )
    parser.add_argument(
        "config", metavar="CONFIG", help="a YAML file such as configs/precompute.yaml"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Encode what is missing, and say how much there is."""
    from tqdm import tqdm

    from ..data.clipset import ClipSet
    from ..precompute.run import load_precompute, precompute

    config = load_precompute(arguments.config)
    with tqdm(total=len(ClipSet(config.clips)), desc="precompute", unit="clip") as bar:
        damage = precompute(config, bar.update)
    print(f"{config.clips}: {damage.seen - damage.damaged} clips encoded, {damage.damaged} damaged")
    return 0
