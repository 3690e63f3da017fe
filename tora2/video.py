"""Video files: H.264 out; in, what FFmpeg decodes of the usual containers."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import torch
from av.container import InputContainer
from av.video import VideoStream
from av.video.reformatter import ColorRange, Colorspace
from torch import Tensor

from .files import atomic_path, regular_file

MAX_SIDE = 8192
MAX_FRAMES = 10_000
MAX_MEMORY = 1 << 30
MAX_BYTES = 16 << 30
# Containers that hold a video; FFmpeg's others include playlists, which open further files.
FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,ivf,yuv4mpegpipe,mpegvideo,h264,hevc"
_BT709 = 1  # the code of BT.709 in H.264's matrix, primaries and transfer fields
_LIMITED = 1
_OPTIONS = {"crf": "12", "preset": "medium"}
_LOSSLESS = {"crf": "0", "preset": "medium"}


def check_video(path: str | os.PathLike[str], size: tuple[int, int]) -> None:
    """Refuse what `write_video` could not write, before the frames are made.

    Args:
        path: the file to write.
        size: (height, width) of the frames in pixels.

    Raises:
        ValueError: for another suffix than .mp4, or a side that is odd or above `MAX_SIDE`.
    """
    if Path(path).suffix.lower() != ".mp4":
        raise ValueError(
            f"the video file is {os.fspath(path)!r}, expected a name that ends in .mp4"
        )
    for side, name in zip(size, ("height", "width"), strict=True):
        if side % 2 or not 2 <= side <= MAX_SIDE:
            raise ValueError(
                f"the video's {name} is {side} pixels, "
                f"expected an even number up to {MAX_SIDE}, as H.264 needs"
            )


def write_video(
    path: str | os.PathLike[str], frames: Tensor, fps: float, lossless: bool = False
) -> None:
    """Write an .mp4 of near-lossless H.264 (yuv420p, BT.709), which appears whole or not at all.

    Args:
        path: the file; its folder must exist.
        frames: [T, H, W, 3] RGB, floating in [0, 1] (values outside are clamped) or uint8.
        fps: frames per second.
        lossless: keep every pixel, as H.264 in RGB, which browsers and many players do not show.

    Raises:
        OSError: if the file cannot be written.
        ValueError: for another suffix, shape or dtype, odd sides, NaN, or a rate out of range.
    """
    _check_frames(frames)
    height, width = frames.shape[1:3]
    write_frames(path, frames, (height, width), fps, lossless)


def write_frames(
    path: str | os.PathLike[str],
    frames: Iterable[Tensor],
    size: tuple[int, int],
    fps: float,
    lossless: bool = False,
) -> None:
    """`write_video` of frames that are made one by one.

    Args:
        path: the file; its folder must exist.
        frames: [H, W, 3] RGB each, as those of `write_video`.
        size: (height, width) of all of them.
        fps: frames per second.
        lossless: as in `write_video`.

    Raises:
        OSError, ValueError: as `write_video`, and what making the frames raises.
    """
    check_video(path, size)
    if not (math.isfinite(fps) and 0.1 <= fps <= 1000):
        raise ValueError(f"fps is {fps}, expected a number from 0.1 to 1000")
    with atomic_path(path) as temporary:
        try:
            rate = Fraction(fps).limit_denominator(1001)
            _encode(temporary, frames, size, rate, lossless)
        except av.FFmpegError as error:
            reason = error.strerror.lower()
            raise OSError(f"cannot write {os.fspath(path)}: {reason}") from error


def mp4_bytes(frames: Tensor, fps: float, lossless: bool = False) -> bytes:
    """The content of the file that `write_video` writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        write_video(file, frames, fps, lossless)
        return file.read_bytes()


def _check_frames(frames: Tensor) -> None:
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(f"frames have the shape {tuple(frames.shape)}, expected [T, H, W, 3]")
    if frames.dtype != torch.uint8 and not frames.is_floating_point():
        raise ValueError(f"frames are {frames.dtype}, expected uint8 or floating point in [0, 1]")
    if frames.is_floating_point() and bool(frames.isnan().any()):
        raise ValueError("frames have NaN in them, expected numbers in [0, 1]")


def _encode(
    path: Path, frames: Iterable[Tensor], size: tuple[int, int], rate: Fraction, lossless: bool
) -> None:
    codec, options = ("libx264rgb", _LOSSLESS) if lossless else ("libx264", _OPTIONS)
    with av.open(file_url(path), "w", format="mp4", options={"movflags": "faststart"}) as file:
        stream = file.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = "rgb24" if lossless else "yuv420p"
        if not lossless:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(as_uint8(frame).cpu().numpy(), format="rgb24")
            if not lossless:
                picture = picture.reformat(
                    format="yuv420p",
                    dst_colorspace=Colorspace.ITU709,
                    dst_color_range=ColorRange.MPEG,
                )
            file.mux(stream.encode(picture))
        file.mux(stream.encode())


def as_uint8(frames: Tensor) -> Tensor:
    """Pictures in [0, 1], or already uint8, as uint8."""
    if frames.dtype == torch.uint8:
        return frames
    return frames.float().clamp(0, 1).mul(255).round().to(torch.uint8)


@dataclass(frozen=True, eq=False)
class OpenVideo:
    """A video that is read frame by frame.

    Attributes:
        fps: the average number of frames per second.
        size: (height, width) of every frame in pixels.
        frames: uint8 [H, W, 3] RGB each, in order, decoded as they are asked for.
    """

    fps: float
    size: tuple[int, int]
    frames: Iterator[Tensor]


@contextmanager
def open_video(path: str | os.PathLike[str]) -> Iterator[OpenVideo]:
    """Open the first video stream of a file; no more than a few frames are in memory at a time.

    Raises, also where the frames are asked for:
        OSError: if the file cannot be opened.
        ValueError: if it is no regular file, has more than `MAX_BYTES`, is not a video, is damaged,
            or has frames with a side above `MAX_SIDE` or of several sizes.
    """
    name = os.fspath(path)
    if (length := regular_file(path).stat().st_size) > MAX_BYTES:
        most = MAX_BYTES >> 30
        raise ValueError(f"{name} has {length >> 30} GiB, expected a video of at most {most}")
    open(path, "rb").close()
    with _damage(name):
        opened = av.open(file_url(path), options={"format_whitelist": FORMATS})
    with opened as container:
        if not container.streams.video:
            raise ValueError(f"{name} has no video stream, expected a video file")
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise ValueError(f"{name} holds no frame, expected a video file")
        stream.codec_context.options = {"max_pixels": str(MAX_SIDE**2)}
        size = stream.codec_context.height, stream.codec_context.width
        if not all(0 < side <= MAX_SIDE for side in size):
            raise ValueError(
                f"{name} is {size[1]}x{size[0]} pixels, expected sides of at most {MAX_SIDE}"
            )
        yield OpenVideo(float(rate), size, _decoded(container, stream, size, name))


def frames_of(path: str | os.PathLike[str]) -> Iterator[Tensor]:
    """The frames of a video, uint8 [H, W, 3] each; see `open_video`, also for what is raised."""
    with open_video(path) as video:
        yield from video.frames


def read_video(path: str | os.PathLike[str], max_frames: int = MAX_FRAMES) -> tuple[Tensor, float]:
    """Read every frame of the first video stream of a file.

    Args:
        path: the file.
        max_frames: refuse a longer video; so are frames of more than `MAX_MEMORY` bytes together.

    Returns:
        uint8 [T, H, W, 3] RGB, and the average number of frames per second.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: as `open_video`, and if it holds no frame or too many.
    """
    name = os.fspath(path)
    content = bytearray()
    with open_video(path) as video:
        height, width = video.size
        most = min(max_frames, MAX_MEMORY // (3 * height * width))
        for frame in islice(video.frames, most):
            content += frame.numpy().data
        if next(video.frames, None) is not None:
            raise ValueError(
                f"{name} has more than {most} frames of {width}x{height}, "
                "expected no more to be read at once"
            )
    if not content:
        raise ValueError(f"{name} holds no frame, expected a video file")
    frames = torch.frombuffer(content, dtype=torch.uint8)
    return frames.view(-1, height, width, 3), video.fps


def video_size(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Width, height and number of frames of a file's first video stream, without decoding it.

    The frames are those that the container states, or where it states none, its packets.

    Raises:
        OSError, ValueError: as `open_video`.
    """
    name = os.fspath(regular_file(path))
    with _damage(name), av.open(file_url(path), options={"format_whitelist": FORMATS}) as container:
        if not container.streams.video:
            raise ValueError(f"{name} has no video stream, expected a video file")
        stream = container.streams.video[0]
        frames = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
        return stream.width, stream.height, frames


def _decoded(
    container: InputContainer, stream: VideoStream, size: tuple[int, int], name: str
) -> Iterator[Tensor]:
    with _damage(name):
        for frame in container.decode(stream):
            if (frame.height, frame.width) != size:
                raise ValueError(
                    f"{name} changes from {size[1]}x{size[0]} to {frame.width}x{frame.height} "
                    "pixels, expected one size"
                )
            if frame.is_corrupt:
                raise ValueError(f"{name} is damaged, expected a whole video file")
            yield torch.from_numpy(frame.to_ndarray(format="rgb24"))


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, MemoryError) as error:
        reason = getattr(error, "strerror", "it takes more memory than there is").lower()
        raise ValueError(f"{name} cannot be read: {reason}, expected a video file") from error


def file_url(path: str | os.PathLike[str]) -> str:
    """The path as FFmpeg takes it, which reads `a:b` as a network protocol otherwise."""
    return f"file:{os.fspath(path)}"
