"""Videos: what is written is read back, whole or not at all; refusals in a sentence."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tora2.video import as_uint8, read_video, write_video

COLORS = torch.tensor([[230, 40, 30], [20, 200, 60], [40, 60, 230], [240, 230, 20]])


def quarters(frames: int = 5, size: int = 64) -> torch.Tensor:
    """A pure colour in each quarter: full-size chroma error shows, subsampling does not."""
    half = size // 2
    grid = COLORS.view(2, 2, 3).repeat_interleave(half, 0).repeat_interleave(half, 1)
    return grid.expand(frames, -1, -1, -1).to(torch.uint8)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_round_trip_keeps_frames_rate_and_colours(tmp_path: Path, dtype: torch.dtype) -> None:
    source = quarters()
    frames = source if dtype == torch.uint8 else (source / 255).to(dtype)
    write_video(tmp_path / "a.mp4", frames, 8)
    read, fps = read_video(tmp_path / "a.mp4")
    assert (read.dtype, tuple(read.shape), fps) == (torch.uint8, (5, 64, 64, 3), 8.0)
    middle = (read.int() - source.int()).abs()[:, 8:24, 8:24]
    assert middle.max() <= 4  # another colour matrix is off by 10 and more
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


def test_a_colon_in_the_name_is_no_protocol(tmp_path: Path) -> None:
    write_video(tmp_path / "take:1.mp4", quarters(1), 8)
    assert len(read_video(tmp_path / "take:1.mp4")[0]) == 1


def test_one_frame_and_odd_rates(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", quarters(1), 23.976)
    read, fps = read_video(tmp_path / "a.mp4")
    assert len(read) == 1
    write_video(tmp_path / "b.mp4", quarters(9), 29.97)
    assert read_video(tmp_path / "b.mp4")[1] == pytest.approx(29.97, abs=1e-3)


def test_frames_stay_in_order_and_apart(tmp_path: Path) -> None:
    levels = torch.linspace(0.1, 0.9, 9)
    write_video(tmp_path / "a.mp4", levels[:, None, None, None].expand(9, 32, 48, 3), 8)
    read, _ = read_video(tmp_path / "a.mp4")
    torch.testing.assert_close(read.float().mean((1, 2, 3)) / 255, levels, atol=0.01, rtol=0)


def test_as_uint8_rounds_and_clamps() -> None:
    values = torch.tensor([-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 2.0])
    assert as_uint8(values).tolist() == [0, 0, 0, 1, 255, 255]


NAN = torch.full((1, 2, 2, 3), torch.nan)


@pytest.mark.parametrize(
    ("name", "frames", "fps", "message"),
    [
        ("a.mp4", torch.zeros(1, 33, 32, 3), 8, "height is 33 pixels, expected an even number"),
        ("a.mp4", torch.zeros(1, 32, 33, 3), 8, "width is 33 pixels, expected an even number"),
        ("a.mp4", torch.zeros(32, 32, 3), 8, r"shape \(32, 32, 3\), expected \[T, H, W, 3\]"),
        ("a.mp4", torch.zeros(0, 32, 32, 3), 8, r"shape \(0, 32, 32, 3\)"),
        ("a.mp4", torch.zeros(1, 2, 2, 3, dtype=torch.int64), 8, "torch.int64, expected uint8"),
        ("a.mp4", NAN, 8, "NaN"),
        ("a.mp4", torch.zeros(1, 2, 2, 3), 0, "fps is 0, expected"),
        ("a.mp4", torch.zeros(1, 2, 2, 3), float("nan"), "fps is nan, expected"),
        ("a.gif", torch.zeros(1, 2, 2, 3), 8, r"a\.gif', expected a name that ends in \.mp4"),
    ],
)
def test_refusals(
    tmp_path: Path, name: str, frames: torch.Tensor, fps: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / name, frames, fps)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot write .*absent.a\.mp4"):
        write_video(tmp_path / "absent" / "a.mp4", quarters(), 8)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the file size stands for the full disk: the write itself fails in the middle."""
    target = tmp_path / "a.mp4"
    target.write_bytes(b"old")
    script = (
        "import resource, sys, torch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "from tora2.video import write_video\n"
        "try:\n"
        "    write_video(sys.argv[1], torch.rand(5, 128, 128, 3), 8)\n"
        "except OSError as error:\n"
        "    sys.exit(str(error))\n"
    )
    process = subprocess.run(
        [sys.executable, "-B", "-c", script, str(target)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stderr.strip() == f"cannot write {target}: file too large"
    assert process.returncode == 1
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_reading_refuses_what_is_no_video(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    with pytest.raises(FileNotFoundError):
        read_video(file)
    file.write_bytes(b"not a video at all")
    with pytest.raises(ValueError, match=r"a\.mp4 cannot be read: .*expected a video file"):
        read_video(file)
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="expected a video file"):
        read_video(file)


def test_reading_refuses_a_video_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    write_video(file, torch.rand(9, 64, 64, 3), 8)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ValueError, match="expected a video file"):
        read_video(file)
