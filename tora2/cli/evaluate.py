"""`python -m tora2 evaluate CONFIG`: measure models and finished videos as a YAML file says."""

from __future__ import annotations

import argparse
import json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "evaluate", help="measure models, and finished videos of any system, on a benchmark"
    )
    parser.add_argument(
        "config",
        metavar="CONFIG",
        help="a YAML file: cases, systems and metrics such as configs/benchmark.yaml, or the "
        "bundled model's own figures such as configs/evaluate.yaml",
    )
    parser.add_argument("--json", action="store_true", help="print a benchmark's figures as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print the figures."""
    from ..settings import read_yaml

    values = read_yaml(arguments.config)
    if isinstance(values, dict) and "cases" in values:
        return _suite(arguments)
    from ..evaluation.benchmark import run_evaluation

    print(json.dumps(run_evaluation(arguments.config), indent=2))
    return 0


def _suite(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from tqdm import tqdm

    from ..evaluation.suite import run_suite
    from ..evaluation.suite_results import SuiteConfig
    from ..settings import load

    output = Path(load(SuiteConfig, arguments.config).output)
    with tqdm(desc="measuring", unit="video") as bar:

        def show(name: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(name, refresh=False)
            bar.update(done - bar.n)

        content = run_suite(arguments.config, show)
    if arguments.json:
        print(json.dumps(content, indent=2))
    else:
        print((output / "results.md").read_text(encoding="utf-8"), end="")
        print(f"{output / 'index.html'} has the videos side by side")
    return 0
