import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from disks import small_disk
from safetensors.torch import save_file

from tora2.files import atomic_path, check_writable, read_bounded, regular_file

HERE = Path(__file__).parent
needs_unix = pytest.mark.skipif(sys.platform == "win32", reason="needs links, pipes and modes")


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


@needs_unix
def test_links_stay_and_what_they_name_is_replaced(tmp_path: Path) -> None:
    store, links = tmp_path / "store", tmp_path / "links"
    store.mkdir(), links.mkdir()
    (store / "a.json").write_text("old")
    (links / "a.json").symlink_to("../store/a.json")
    (links / "new.json").symlink_to(store / "new.json")
    for name in ("a.json", "new.json"):
        with atomic_path(links / name) as temporary:
            assert temporary.parent == store  # a rename is atomic within one disk alone
            temporary.write_text("new")
        assert (links / name).is_symlink()
        assert (store / name).read_text() == "new"
    assert {path.name for path in tmp_path.rglob("*.json")} == {"a.json", "new.json"}


@needs_unix
def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("b.json")
    (tmp_path / "b.json").symlink_to("a.json")
    (tmp_path / "c.json").symlink_to("absent/c.json")
    for name in ("a.json", "c.json"):
        for check in (check_writable, lambda path: atomic_path(path).__enter__()):
            with pytest.raises(OSError, match=f"cannot write .*{name}: "):
                check(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 3


@needs_unix
def test_the_mode_is_kept_and_private_from_the_first_byte(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    target.chmod(0o600)
    with atomic_path(target) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        temporary.unlink()  # as writers that have a temporary file of their own
        temporary.write_text("new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_the_owner_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    os.chown(target, 1234, 5678)
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 5678)


@needs_unix
def test_devices_are_written_to_and_stay(tmp_path: Path) -> None:
    link = tmp_path / "out.json"
    link.symlink_to(os.devnull)
    for path in (os.devnull, link):
        with atomic_path(path) as temporary:
            assert temporary.suffix == Path(path).suffix
            temporary.write_text("new")
        assert stat.S_ISCHR(os.stat(path).st_mode)
        assert not temporary.exists()
    assert list(tmp_path.iterdir()) == [link]


@needs_unix
def test_a_pipe_is_written_to_where_somebody_reads(tmp_path: Path) -> None:
    pipe = tmp_path / "out.json"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="nobody reads"), atomic_path(pipe) as temporary:
        temporary.write_text("lost")
    content = bytes(range(256)) * 1024  # more than a pipe holds
    read: list[bytes] = []
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)

    def drain() -> None:
        with open(reader, "rb") as file:
            read.append(file.read())

    thread = threading.Thread(target=drain)
    with atomic_path(pipe) as temporary:
        temporary.write_bytes(content)
        writer = os.open(pipe, os.O_WRONLY)  # without one, the reader would find an end at once
        thread.start()
    os.close(writer)
    thread.join()
    assert read == [content]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.fixture
def unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)  # their names may be 107 bytes long
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("s.json")
        yield tmp_path / "s.json"


@needs_unix
def test_sockets_are_neither_read_nor_replaced(unix_socket: Path) -> None:
    with pytest.raises(OSError, match=r"s\.json: it is a socket"), atomic_path(unix_socket):
        pass
    with pytest.raises(ValueError, match=r"s\.json is a socket, expected a regular file"):
        regular_file(unix_socket)
    assert stat.S_ISSOCK(unix_socket.stat().st_mode)


def test_names_as_long_as_they_may_be(tmp_path: Path) -> None:
    for name in ("a" * 250 + ".json", "a." + "b" * 253, "é" * 125 + ".json", "." + "a" * 254):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text("x")
        assert (tmp_path / name).read_text() == "x"
        with pytest.raises(OSError, match="cannot write .*too long"):
            check_writable(tmp_path / (name + "bcde"))


@pytest.mark.parametrize("check", [regular_file, check_writable])
def test_a_name_with_a_zero_byte(check) -> None:
    with pytest.raises(ValueError, match=r"'a\\x00b' is no file name"):
        check("a\0b")


def test_a_file_that_may_not_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)  # tests may run as root
    for check in (check_writable, lambda path: atomic_path(path).__enter__()):
        with pytest.raises(PermissionError, match=r"cannot write .*a\.json: permission denied"):
            check(target)
    assert list(tmp_path.iterdir()) == [target]


def test_inputs_are_regular_files(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("four")
    assert regular_file(file) == file
    assert regular_file(str(file)) == file
    with pytest.raises(FileNotFoundError):
        regular_file(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        regular_file(tmp_path)
    assert read_bounded(file, 4) == b"four"
    with pytest.raises(ValueError, match=r"a\.json .*at most 3 bytes"):
        read_bounded(file, 3)


@needs_unix
def test_pipes_and_devices_are_no_inputs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path, kind in (("pipe", "pipe"), ("link", "pipe"), ("/dev/zero", "device")):
        for read in (regular_file, lambda path: read_bounded(path, 9)):
            with pytest.raises(ValueError, match=f"{path} is a {kind}, expected a regular file"):
                read(tmp_path / path)


def test_what_a_writer_says_of_a_full_disk_is_put_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers raise errors of their own; the disk is asked, which is full for the test."""
    target = tmp_path / "a.json"

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for raised in (RuntimeError("unexpected pos 64 vs 0"), OSError("9 requested and 4 written")):
        with pytest.raises(type(raised), match="requested|unexpected"), atomic_path(target):
            raise raised
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full)
            with pytest.raises(OSError, match="No space left") as error, atomic_path(target):
                raise raised
        assert error.value.filename == str(target)
    named = f"cannot write {target}: I/O error: No space left on device (os error {errno.ENOSPC})"
    with pytest.raises(OSError) as error, atomic_path(target):
        raise OSError(named)
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(target))
    assert list(tmp_path.iterdir()) == []


WRITERS = {
    "safetensors": lambda path: save_file({"x": torch.zeros(1 << 20)}, path),
    "torch": lambda path: torch.save({"x": torch.zeros(1 << 20)}, path),
    "bytes": lambda path: path.write_bytes(bytes(4 << 20)),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_disk_that_is_really_full(tmp_path: Path, writer: str) -> None:
    with small_disk(tmp_path, "1m") as disk:
        target = disk / "model.safetensors"
        target.write_text("old")
        with pytest.raises(OSError) as error, atomic_path(target) as temporary:
            WRITERS[writer](temporary)
        assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(target))
        assert target.read_text() == "old"
        assert list(disk.iterdir()) == [target]


@needs_unix
@pytest.mark.parametrize("writer", WRITERS)
def test_a_limit_on_the_size_of_files(tmp_path: Path, writer: str) -> None:
    script = f"""
import resource
from test_files import WRITERS, Path, atomic_path
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with atomic_path("model.safetensors") as temporary:
        WRITERS[{writer!r}](temporary)
except OSError as error:
    print(error.errno, error.filename)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{HERE.parents[1]}{os.pathsep}{HERE}"},
    )
    assert done.stdout == f"{errno.EFBIG} model.safetensors\n", done
    assert list(tmp_path.iterdir()) == []
