"""`python -m tora2 curate VIDEOS --output DIR`: from raw videos to a set of clips."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "curate", help="turn raw videos into clips with entities, masks and tracks"
    )
    parser.add_argument(
        "videos",
        type=Path,
        metavar="VIDEOS",
        help="a video, a folder of them, or a list with captions (.txt, .csv, .jsonl)",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="of the set")
    parser.add_argument(
        "--config", metavar="CONFIG", help="a YAML file such as configs/curation.yaml"
    )
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="what runs the stages"
    )
    parser.add_argument(
        "--stages", metavar="A,B,C", help="the stages to run, in place of all (docs/curation.md)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes, in place of a core's")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Curate, and say what came of it."""
    import json
    from dataclasses import replace

    from tqdm import tqdm

    from ..curation.config import chosen, load_settings
    from ..curation.run import Absent, curate
    from ..fields import integer, plain

    stages = chosen(arguments.stages)
    settings = load_settings(arguments.config)
    if arguments.workers is not None:
        workers = integer(arguments.workers, "--workers", 1, 4096)
        settings = replace(settings, run=replace(settings.run, workers=workers))
    tqdm.monitor_interval = 0  # its thread would be copied into every worker
    with tqdm(desc="curate", unit="candidate") as bar:

        def advance(videos: int, candidates: int, kept: int) -> None:
            bar.set_postfix_str(f"{videos} videos done, {kept} clips", refresh=False)
            bar.update(candidates - bar.n)

        try:
            report = curate(
                arguments.videos, arguments.output, settings, arguments.engine, stages, advance
            )
        except Absent as error:
            bar.close()
            lines = [f"tora2 curate: {sentence}" for sentence in error.sentences]
            lines.append("tora2 curate: or leave such stages out with --stages")
            print("\n".join(lines), file=sys.stderr)
            return 2
    if arguments.json:
        print(json.dumps(vars(report), indent=2))
        return 0
    print("\n".join(report.funnel))
    for source, reason in list(report.damaged.items())[:20]:
        print(f"  {plain(source, 200)}: {plain(reason, 200)}")
    print(
        f"{arguments.output}: {report.kept} clips of {report.videos} videos, "
        f"{report.candidates - report.kept} candidates dropped; funnel.html shows them"
    )
    return 0
