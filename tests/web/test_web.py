"""The editor's own tests, run by node as part of the one test command."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def test_the_editor_s_modules() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the editor's tests did not run")
    files = sorted(str(path) for path in FOLDER.glob("*.test.mjs"))
    result = subprocess.run(
        [node, "--test", *files], capture_output=True, text=True, timeout=300, cwd=FOLDER
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert "# fail 0" in result.stdout or "fail 0" in result.stdout


def test_the_editor_s_types() -> None:
    compiler = FOLDER / "node_modules" / ".bin" / "tsc"
    if not compiler.exists():
        pytest.skip("typescript is not installed in tests/web (see CONTRIBUTING.md)")
    result = subprocess.run(
        [compiler, "-p", FOLDER / "tsconfig.json"], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stdout[-8000:]
