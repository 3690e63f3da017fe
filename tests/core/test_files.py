import errno
import os
from pathlib import Path

import pytest

from tora2.files import atomic_path


def test_success_replaces_the_target_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "video.mp4"
    target.write_text("old")
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        assert target.read_text() == "old"
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError])
def test_failure_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_failure_leaves_no_file_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.json"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_and_folder_as_target_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot write .*absent.*a\.json"):
        with atomic_path(tmp_path / "absent" / "a.json"):
            pass
    with pytest.raises(IsADirectoryError, match="it is a folder"), atomic_path(tmp_path):
        pass


def test_an_error_without_a_file_names_the_target(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    with pytest.raises(OSError, match=r"No space left on device: .*a\.json") as full:
        with atomic_path(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert full.value.filename == str(target)
    with pytest.raises(OSError, match="^in our own words$"), atomic_path(target):
        raise OSError("in our own words")
    with pytest.raises(FileNotFoundError, match="other"), atomic_path(target):
        (tmp_path / "other").read_bytes()


def test_mode_follows_the_umask(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.write_text("x")
    reference = tmp_path / "b.json"
    reference.write_text("x")
    assert os.stat(tmp_path / "a.json").st_mode == os.stat(reference).st_mode
