"""Videos: what is written is read back, whole or not at all; refusals in a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tora2 import video
from tora2.video import as_uint8, frames_of, open_video, read_video, write_video

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


def test_frames_come_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    write_video(file, torch.rand(5, 32, 48, 3), 8)
    whole, _ = read_video(file)
    assert torch.equal(torch.stack(list(frames_of(file))), whole)
    with open_video(file) as opened:
        assert (opened.fps, opened.size) == (8.0, (32, 48))
        assert torch.equal(next(opened.frames), whole[0])
    whole[0] = 0  # it can be written to


def test_reading_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.mp4"
    write_video(file, torch.rand(5, 32, 48, 3), 8)
    assert len(read_video(file, max_frames=5)[0]) == 5
    with pytest.raises(ValueError, match=r"a\.mp4 has more than 4 frames of 48x32"):
        read_video(file, max_frames=4)
    with monkeypatch.context() as patch:
        patch.setattr(video, "MAX_MEMORY", 3 * 32 * 48 * 2)
        with pytest.raises(ValueError, match="more than 2 frames"):
            read_video(file)
        assert len(list(frames_of(file))) == 5
    with monkeypatch.context() as patch:
        patch.setattr(video, "MAX_SIDE", 40)
        with pytest.raises(ValueError, match="is 48x32 pixels, expected sides of at most 40"):
            read_video(file)
    monkeypatch.setattr(video, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="expected a video of at most 0"):
        read_video(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
def test_pipes_and_devices_are_no_videos(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match=r"a\.mp4 is a pipe, expected"):
        read_video(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="/dev/zero is a device, expected"):
        next(frames_of("/dev/zero"))


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    write_video(tmp_path / "other.mp4", quarters(), 8)
    lists = {
        "a.txt": "ffconcat version 1.0\nfile other.mp4\n",
        "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n",
    }
    for name, content in lists.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match="expected a video file"):
            read_video(tmp_path / name)


def test_frames_of_several_sizes_and_sounds_are_refused(tmp_path: Path) -> None:
    import av

    file = tmp_path / "a.h264"
    parts = []
    for size in (32, 64):
        write_video(tmp_path / "part.mp4", quarters(3, size), 8)
        with av.open(str(tmp_path / "part.mp4")) as source, av.open(str(file), "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        parts.append(file.read_bytes())
    file.write_bytes(b"".join(parts))
    with pytest.raises(ValueError, match="changes from 32x32 to 64x64 pixels"):
        read_video(file)
    with av.open(str(tmp_path / "a.mkv"), "w") as sound:
        stream = sound.add_stream("pcm_s16le", rate=44100, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=1024)
        frame.sample_rate = 44100
        sound.mux(stream.encode(frame))
    with pytest.raises(ValueError, match="has no video stream"):
        read_video(tmp_path / "a.mkv")
