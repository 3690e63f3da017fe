"""The command line: `python -m tora2 COMMAND`, one module a command."""

from __future__ import annotations

import argparse
import codecs
import io
import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, TextIO

# One progress bar and one sentence are ours to show; the libraries' own talk is not.
_QUIET = {
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
_INPUTS = (
    "scene",
    "config",
    "file",
    "inputs",
    "image",
    "adapter",
    "model",
    "video",
    "videos",
    "masks",
    "tracker_weights",
    "reference",
    "raft",
)
_LONGEST = 1000
_PACKAGES = {"PIL": "pillow", "yaml": "pyyaml"}  # where the name to install is another


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {_clean(message)}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    This is the one place where errors become words: commands raise, and print results alone.
    Characters that the output's encoding lacks are printed as `\\uXXXX`; where stdout is closed,
    the command does its work without printing.

    Returns:
        0, also when nobody reads on; or 2 after a sentence on stderr that says what was wrong with
        the input, the disk or the memory; or 130 after Ctrl-C.
    """
    command = "tora2"
    _mend_streams()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        try:
            arguments = _parser().parse_args(argv)
            command = f"tora2 {arguments.command}"
            _check_inputs(arguments)
            status: int = arguments.run(arguments)
            return status
        finally:
            _flush()
    except KeyboardInterrupt:
        return _end(command, "interrupted", 130)
    except (ValueError, OSError, MemoryError, RuntimeError, ModuleNotFoundError) as error:
        if isinstance(error, BrokenPipeError) and _reader_gone():
            return 0
        sentence = _sentence(error)
        if sentence is None:
            raise
        return _end(command, sentence, 2)


def _parser() -> argparse.ArgumentParser:
    from . import (
        ablation,
        clips,
        convert,
        curate,
        customize,
        demo,
        doctor,
        evaluate,
        generate,
        inspect,
        measure,
        precompute,
        track,
        train,
        trajectories,
    )

    parser = _Parser(
        prog="tora2",
        description="Videos in which entities look like their pictures and move along their paths.",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands = (
        demo,
        generate,
        curate,
        clips,
        precompute,
        train,
        customize,
        evaluate,
        ablation,
        measure,
        track,
        inspect,
        convert,
        trajectories,
        doctor,
    )
    for command in commands:
        command.add_parser(subparsers)
    return parser


def _check_inputs(arguments: argparse.Namespace) -> None:
    """Refuse pipes and devices, which a reader may wait for or read without end."""
    from ..files import regular_file

    for name in _INPUTS:
        given = getattr(arguments, name, None) or ()
        for path in given if isinstance(given, list | tuple) else (given,):
            if os.path.exists(path) and not os.path.isdir(path):  # readers say what they lack
                regular_file(path)


def _sentence(error: Exception) -> str | None:
    """What went wrong, or None where it is a fault of ours that a traceback helps to find."""
    text = str(error)
    if isinstance(error, MemoryError):
        return f"there is too little memory for this ({text})" if text else "out of memory"
    if isinstance(error, ModuleNotFoundError):
        ours = (error.name or "").partition(".")[0] in ("", "tora2")
        package = _PACKAGES.get(error.name or "", error.name)
        return None if ours else f"the package {package} is not installed"
    if isinstance(error, RuntimeError):
        if type(error).__name__ == "OutOfMemoryError":
            return "the GPU has too little free memory for this"
        return "there is too little memory for this" if "DefaultCPUAllocator" in text else None
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror.lower()
        return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"
    return text or type(error).__name__


def _end(command: str, sentence: str, status: int) -> int:
    try:
        print(f"{command}: {_clean(sentence)}", file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)
    return status


def _clean(text: str) -> str:
    """One line of printable characters and of bounded length, whatever a file put into it."""
    text = " ".join(text.split())
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 300]} ... {text[-295:]}"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _mend_streams() -> None:
    """Let printing work where streams are closed, or their encoding lacks characters."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # The next file that is opened would get the free number, and what is printed with it.
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    codecs.register_error("tora2", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="tora2")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Characters that an encoding lacks, as JSON escapes them, so that JSON stays what it was."""
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def _flush() -> None:
    """Print what is left, while a refusal can still be put into words."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard(sys.stdout)
        error.filename = "stdout"
        raise


def _reader_gone() -> bool:
    """Whether who read our output, such as `head`, has seen enough; if so, nothing more is said."""
    if hasattr(select, "poll"):
        for stream in (sys.stdout, sys.stderr):
            poll = select.poll()
            with suppress(OSError, ValueError):  # what stands for a stream may have no number
                poll.register(stream.fileno(), 0)
                if poll.poll(0):
                    _discard(stream)
                    return True
    return False


def _discard(stream: TextIO) -> None:
    """Send what a stream still holds nowhere, or the interpreter would fail at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
