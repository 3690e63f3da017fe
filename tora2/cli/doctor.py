"""`python -m tora2 doctor [FOLDER …]`: what is installed, found and missing, and what fits."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its arguments."""
    parser = subparsers.add_parser(
        "doctor", help="say what is installed, which weights are there, and what is missing"
    )
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="where to look for weights; by default in the models folder of the ComfyUI in "
        "COMFYUI_PATH, above custom_nodes/, or in ~/comfy/ComfyUI",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, and print the report."""
    for folder in arguments.folders:
        if not folder.is_dir():
            raise ValueError(f"cannot look into {str(folder)!r}, expected a folder that exists")

    from ..doctor import Facts, examine, packages, scan
    from ..doctor.system import find_comfyui, python_and_torch, this_device

    comfyui = find_comfyui(os.environ, Path.home())
    folders = arguments.folders or ([] if comfyui is None else [comfyui])
    facts = Facts(
        system=(python_and_torch(), *_hosts(comfyui, bool(arguments.folders))),
        packages=packages(),
        device=this_device(),
        scans=scan(_models(folder) for folder in folders),
    )
    report = examine(facts)
    print(json.dumps(report.to_dict(), indent=2) if arguments.json else report)
    return 0


def _models(folder: Path) -> Path:
    """The models folder of a ComfyUI, or the folder itself."""
    from ..doctor.system import is_comfyui

    inside = folder / "models"
    return inside if is_comfyui(folder) and inside.is_dir() else folder


def _hosts(comfyui: Path | None, given: bool) -> list[str]:
    """On ComfyUI: where it is, its version, and folders that only it knows."""
    from ..doctor.system import comfyui_version

    if comfyui is None:
        path = os.environ.get("COMFYUI_PATH")
        lines = [f"COMFYUI_PATH is {path!r}, which is no ComfyUI" if path else "no ComfyUI found"]
        return lines if given else [*lines, "no folder given: only the bundled model is looked at"]
    lines = [f"ComfyUI {comfyui_version(comfyui) or 'of unknown version'} in {comfyui}"]
    extra = comfyui / "extra_model_paths.yaml"
    if extra.is_file() and not given:
        lines.append(f"{extra} names more folders: give them to this command to have them searched")
    return lines
