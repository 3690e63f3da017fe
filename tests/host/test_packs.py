"""Two copies of the pack in one host."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import builders
import pytest

ROOT = Path(__file__).parents[2]


def test_a_second_copy_warns_once_and_leaves_the_first_as_it_is(
    host: Any, pack: builders.Pack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = tmp_path / "tora2_copy"
    second.mkdir()
    for part in ("__init__.py", "nodes", "web"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, second / part)
    (second / "tora2").symlink_to(ROOT / "tora2")
    nodes, folders = dict(host.NODE_CLASS_MAPPINGS), dict(host.EXTENSION_WEB_DIRS)
    assert asyncio.run(host.load_custom_node(str(second)))
    assert nodes == host.NODE_CLASS_MAPPINGS and folders == host.EXTENSION_WEB_DIRS
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(said) == 1 and str(ROOT) in said[0] and str(second) in said[0]
    assert asyncio.run(host.load_custom_node(str(ROOT)))  # the same copy again is none of two
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 1
