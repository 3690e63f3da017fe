"""What the commands share: streams of every kind, inputs that block, full disks, other errors."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from disks import small_disk
from small_training import SMALLEST_TRAINING

from tora2.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENT = {
    "version": 1,
    "width": 96,
    "height": 96,
    "frames": 17,
    "tracks": [{"id": "t", "points": [{"x": 0.1, "y": 0.2}, {"x": 0.9, "y": 0.7}]}],
}
unix = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell, pipes and /dev")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


def tora2(arguments: str, redirect: str = "", **environment: str) -> tuple[int, bytes, bytes]:
    """Run a command in a shell, with its streams redirected."""
    process = subprocess.run(
        f'"{sys.executable}" -m tora2 {arguments} {redirect}',
        shell=True,
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    return process.returncode, process.stdout, process.stderr


@unix
@pytest.mark.parametrize("redirect", [">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_streams(document: Path, redirect: str) -> None:
    """A free number would go to the next file, and what is printed into it."""
    output = document.with_name("b.json")
    status, _, err = tora2(f"trajectories convert {document} {output}", redirect)
    assert (status, err) == (0, b"")
    assert json.loads(output.read_bytes())["tracks"]
    assert tora2("doctor absent", redirect)[0] == 2


@unix
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_encodings_that_lack_characters(tmp_path: Path, encoding: str) -> None:
    folder = tmp_path / "ж…é🙂"
    folder.mkdir()
    status, out, err = tora2(f'doctor --json "{folder}"', PYTHONIOENCODING=encoding)
    assert (status, err) == (0, b"")
    assert json.loads(out.decode(encoding))["scans"][0]["folder"] == str(folder)
    status, out, err = tora2(f'doctor "{folder}"', PYTHONIOENCODING=encoding)
    assert (status, err) == (0, b"")
    escaped = r"\u0436\u2026" in out.decode(encoding)
    assert escaped == (encoding != "utf-16")
    status, _, err = tora2(f'inspect "{folder}"', PYTHONIOENCODING=encoding)
    assert status == 2 and err.decode(encoding).startswith("tora2 inspect: ")


@unix
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough(document: Path, unbuffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    for arguments in ("--help", "inspect tiny --json", f"trajectories convert {document} b.csv"):
        process = subprocess.run(
            [sys.executable, "-m", "tora2", *arguments.split()],
            cwd=document.parent,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
            stdout=write,
            stderr=subprocess.PIPE,
        )
        assert (process.returncode, process.stderr) == (0, b"")
    os.close(write)
    assert document.with_name("b.csv").exists()


@unix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_stdout() -> None:
    full = b"tora2 inspect: stdout: no space left on device\n"
    assert tora2("inspect tiny", ">/dev/full", PYTHONUNBUFFERED="") == (2, b"", full)
    assert tora2("inspect absent", ">/dev/full 2>/dev/full") == (2, b"", b"")


def test_a_pipe_that_breaks_elsewhere_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raises(monkeypatch, BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
    assert main(["inspect", "tiny"]) == 2
    assert capsys.readouterr().err == "tora2 inspect: broken pipe\n"


@unix
@pytest.mark.parametrize(
    "arguments",
    [
        "generate PIPE --output o.mp4",
        "generate a.json --output o.mp4 --image PIPE",
        "generate a.json --output o.mp4 --adapter PIPE",
        "generate a.json --output o.mp4 --model PIPE",
        "train PIPE",
        "evaluate PIPE",
        "ablation PIPE",
        "inspect PIPE",
        "measure PIPE a.json",
        "measure a.mp4 PIPE",
        "track PIPE --points 1,1 --output o.json",
        "track a.mp4 --masks PIPE --output o.json",
        "convert PIPE --to comfy --output o.safetensors",
        "trajectories convert a.json PIPE o.csv",
    ],
)
def test_inputs_never_block(
    document: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
) -> None:
    monkeypatch.chdir(document.parent)
    os.mkfifo("pipe")
    os.symlink("pipe", "link")
    before = set(document.parent.iterdir())
    for name, kind in (("pipe", "a pipe"), ("link", "a pipe"), ("/dev/zero", "a device")):
        assert main([name if word == "PIPE" else word for word in arguments.split()]) == 2
        command = arguments.split()[0]
        expected = f"tora2 {command}: {name} is {kind}, expected a regular file\n"
        assert capsys.readouterr().err == expected
    assert set(document.parent.iterdir()) == before


def raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(path: object) -> None:
        raise error

    monkeypatch.setattr("tora2.checkpoints.inspect", fail)


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (MemoryError(), 2, "out of memory"),
        (MemoryError("Unable to allocate 7 GiB"), 2, "Unable to allocate 7 GiB"),
        (RuntimeError("[x.cpp:1] DefaultCPUAllocator: can't allocate"), 2, "too little memory"),
        (ModuleNotFoundError("No module named 'PIL'", name="PIL"), 2, "package pillow is not"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), b"a.pt"), 2, "a.pt: permission"),
        (ValueError("a\x1b[31m\nb\r\tc\u202e\udc80"), 2, r"a\x1b[31m b c\u202e\udc80"),
        (ValueError(), 2, "ValueError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_error_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    sentence: str,
) -> None:
    raises(monkeypatch, error)
    assert main(["inspect", "tiny"]) == status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("tora2 inspect: ") and err.count("\n") == 1
    assert sentence in err


def test_long_messages_are_shortened_in_the_middle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raises(monkeypatch, ValueError("start" + "x" * 5_000_000 + "end"))
    assert main(["inspect", "tiny"]) == 2
    err = capsys.readouterr().err
    assert len(err) < 1100 and "start" in err and err.endswith("end\n")
    with pytest.raises(SystemExit):
        main(["dan\x1bce" * 1000])
    err = capsys.readouterr().err
    assert len(err) < 1100 and "\x1b" not in err


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ModuleNotFoundError(name="tora2.x")])
def test_faults_of_our_own_keep_their_traceback(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    raises(monkeypatch, error)
    with pytest.raises(type(error)):
        main(["inspect", "tiny"])


@unix
def test_convert_on_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ROOT / "tora2" / "assets" / "tiny"
    with small_disk(tmp_path, "1m") as disk:
        output = disk / "a.safetensors"
        for arguments in ([tiny / "adapter.safetensors", "tora2"], [tiny / "transformer", "comfy"]):
            command = ["convert", str(arguments[0]), "--to", str(arguments[1])]
            assert main([*command, "--output", str(output)]) == 2
            err = capsys.readouterr().err
            assert err.startswith("tora2 convert: ") and err.count("\n") == 1
            assert str(output) in err and "no space left on device" in err.lower()
            assert list(disk.iterdir()) == []


@unix
def test_train_on_a_full_disk_and_on_a_larger_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever the disk is full, a whole file or none is there, and the run goes on later."""
    config = tmp_path / "c.yaml"
    with small_disk(tmp_path, "64k") as disk:
        output = disk / "run"
        config.write_text(SMALLEST_TRAINING.format(output=output))
        stopped = set()
        for size in ("64k", "512k", "1m", "2m", "64m"):
            subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
            status = main(["train", str(config)])
            err = capsys.readouterr().err
            assert [path for path in disk.rglob(".*") if path.is_file()] == []
            if status == 0:
                break
            assert status == 2
            assert err.rstrip().endswith(": no space left on device")
            stopped.add(err.rstrip().rpartition("tora2 train: ")[2].partition(":")[0])
        assert status == 0 and len(stopped) > 1, stopped
        assert (output / "model").is_dir()
