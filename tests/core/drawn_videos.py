"""Small drawn videos of which everything is known, for curation."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
WIDTH, HEIGHT, FPS = 192, 128, 12


def texture(seed: int, size: tuple[int, int] = (400, 600)) -> Picture:
    """A smooth random picture [H, W, 3]; another seed has other colours and another brightness."""
    draw = np.random.default_rng(seed)
    height, width = size
    picture = np.zeros((height, width, 3))
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[None, :, None]
    for _ in range(12):
        wave = draw.uniform(0.02, 0.35, 2)
        phase = draw.uniform(0, 7, 3)
        picture += np.sin(rows * wave[0] + columns * wave[1] * draw.choice([-1, 1]) + phase)
    tone = draw.uniform(40, 215, 3)
    return np.clip(tone + 12 * picture, 0, 255).astype(np.uint8)


def shot(
    seed: int,
    count: int,
    move: tuple[int, int] = (0, 0),
    size: tuple[int, int] = (WIDTH, HEIGHT),
    zoom: float = 1.0,
    noise: float = 0.0,
) -> list[Picture]:
    """Frames of one shot; the scene moves by (dx, dy) pixels a frame, and grows by `zoom`."""
    scene = texture(seed)
    draw = np.random.default_rng(seed)
    width, height = size
    rows, columns = np.arange(height) - height / 2, np.arange(width) - width / 2
    frames = []
    for time in range(count):
        scale = zoom**-time
        y = np.round(rows * scale + 200 - move[1] * (time - count / 2)).astype(int) % 400
        x = np.round(columns * scale + 300 - move[0] * (time - count / 2)).astype(int) % 600
        frame = scene[y][:, x].astype(float)
        if noise:
            frame += draw.normal(0, noise, frame.shape)
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    return frames


def write(
    path: Path,
    frames: Sequence[Picture],
    fps: int = FPS,
    times: Iterable[int] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    change: Callable[[av.VideoStream], None] | None = None,
) -> Path:
    """A video of frames; `times` are in ticks of 1/600 s where the rate varies."""
    options = {"preset": "ultrafast", "crf": "14"} if codec == "libx264" else {}
    ticks = list(times) if times is not None else None
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 600)
        if change is not None:
            change(stream)
        for place, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if ticks is not None:
                picture.pts, picture.time_base = ticks[place], Fraction(1, 600)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


def write_audio(path: Path) -> Path:
    """A file with a second of sound and nothing to see."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 16000, 1024):
            samples = np.sin(np.arange(start, start + 1024)[None] / 20).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.rate, frame.pts = 16000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def turn(path: Path) -> Path:
    """Let a video be shown turned by 90 degrees clockwise, as phones write it."""
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd") + 8 + 36
    content[place : place + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def claim_hours(path: Path, hours: float) -> Path:
    """Let a video's header state a duration that it has not."""
    content = bytearray(path.read_bytes())
    for name, offset in ((b"mvhd", 16), (b"mdhd", 16)):
        place = content.find(name) + 4
        (scale,) = struct.unpack(">I", content[place + offset - 4 : place + offset])
        content[place + offset : place + offset + 4] = struct.pack(">I", int(hours * 3600 * scale))
    path.write_bytes(content)
    return path


def damage(path: Path) -> Path:
    """Overwrite the middle of a video's frames."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(range(256)) * 2 + bytes(88)
    path.write_bytes(content)
    return path
