"""Where ComfyUI is, for every suite that needs it."""

import os
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
MISSING = "no ComfyUI found: set COMFYUI_PATH to a checkout"


def find_host() -> Path | None:
    """COMFYUI_PATH, else the folder above custom_nodes/, else comfy-cli's default workspace."""
    places = [REPOSITORY.parents[1], Path.home() / "comfy" / "ComfyUI"]
    if "COMFYUI_PATH" in os.environ:
        places = [Path(os.environ["COMFYUI_PATH"])]
    return next((p for p in places if (p / "comfy" / "model_patcher.py").is_file()), None)


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """The checkout; without one the test is skipped."""
    found = find_host()
    if found is None:
        pytest.skip(MISSING)
    return found


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    if any(MISSING in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(f"host and e2e suites were skipped, {MISSING}")
