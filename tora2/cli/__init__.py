"""The command line: `python -m tora2 COMMAND`, one module a command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

# One progress bar and one sentence are ours to show; the libraries' own talk is not.
_QUIET = {
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0, or 2 after a sentence on stderr that says what was wrong with the input, or 130 after
        Ctrl-C.
    """
    command = "tora2"
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        arguments = _parser().parse_args(argv)
        command = f"tora2 {arguments.command}"
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        print(f"{command}: {_sentence(error)}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        print(f"{command}: the GPU has too little free memory for this", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    from . import (
        ablation,
        convert,
        demo,
        doctor,
        evaluate,
        generate,
        inspect,
        train,
        trajectories,
    )

    parser = _Parser(
        prog="tora2",
        description="Videos in which entities look like their pictures and move along their paths.",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands = demo, generate, train, evaluate, ablation, inspect, convert, trajectories, doctor
    for command in commands:
        command.add_parser(subparsers)
    return parser


def _sentence(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror.lower()
        return reason if error.filename is None else f"{error.filename}: {reason}"
    return " ".join(str(error).split()) or type(error).__name__
