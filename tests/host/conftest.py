"""The real ComfyUI in this process, with this repository as a custom node pack."""

import asyncio
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def host(comfyui: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The host's `nodes` module, with the pack loaded as the server would load it."""
    sys.path.insert(0, str(comfyui))
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu = True
    args.base_directory = None
    import folder_paths

    work = tmp_path_factory.mktemp("comfy")
    for name in ("output", "temp", "input", "user"):
        (work / name).mkdir()
    folder_paths.set_output_directory(str(work / "output"))
    folder_paths.set_temp_directory(str(work / "temp"))
    folder_paths.set_input_directory(str(work / "input"))
    import nodes

    assert asyncio.run(nodes.load_custom_node(str(REPOSITORY)))
    torch.set_grad_enabled(False)
    yield nodes
    torch.set_grad_enabled(True)


@pytest.fixture(scope="session")
def pack(host: Any) -> Callable[[str], ModuleType]:
    """A module of the pack as the host sees it: `pack("nodes.host.injection")`."""
    root = str(REPOSITORY).replace(".", "_x_")

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{root}.{name}")

    return module
