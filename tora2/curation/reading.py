"""The frames of videos and of candidates, through PyAV: upright, at a constant rate, in SDR."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video import VideoStream

from ..files import regular_file
from ..video import FORMATS, MAX_SIDE, file_url

if TYPE_CHECKING:
    from .candidate import Candidate

CACHE_BYTES = 256 << 20
_PQ, _HLG = 16, 18  # codes of the transfer functions of HDR, ITU-T H.273
_WHITE = 203.0  # candela a square metre of what is white in SDR, ITU-R BT.2408
_EARLY = 0.25  # of a frame: times are rounded to the ticks of a container

Frames = npt.NDArray[np.uint8]
Convert = Callable[[Any], Frames]


class Unreadable(ValueError):
    """A video, or a part of it, that cannot be decoded."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header says; it may be wrong.

    Attributes:
        fps: average frames a second, 0 where it does not say.
        frames: how many, 0 where it does not say.
    """

    fps: float
    frames: int


@contextmanager
def opened(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The first video stream of a file.

    Raises, also within the block:
        Unreadable: if it is none, or is damaged.
        OSError: if the file cannot be opened.
    """
    if not regular_file(path).stat().st_size:
        raise Unreadable("the file is empty")
    open(path, "rb").close()
    try:
        with av.open(file_url(path), options={"format_whitelist": FORMATS}) as container:
            if not container.streams.video:
                raise Unreadable("it has no video stream")
            stream = container.streams.video[0]
            context = stream.codec_context
            context.thread_count = 1  # the engine has a process a core
            context.options = {"max_pixels": str(MAX_SIDE**2)}
            if not all(0 < side <= MAX_SIDE for side in (context.width, context.height)):
                raise Unreadable(
                    f"its frames are {context.width}x{context.height} pixels, "
                    f"expected sides of at most {MAX_SIDE}"
                )
            yield container, stream
    except (av.FFmpegError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or "it takes more memory than there is"
        raise Unreadable(f"it cannot be decoded: {reason.lower()}") from error


def info_of(stream: VideoStream) -> VideoInfo:
    """What the header says."""
    rate = stream.average_rate or stream.guessed_rate
    return VideoInfo(float(rate) if rate else 0.0, max(int(stream.frames or 0), 0))


def timed(
    container: InputContainer, stream: VideoStream, since: float = 0.0
) -> Generator[Any, None, None]:
    """The frames as (seconds, frame) in order, from the last key frame before `since`."""
    base = stream.time_base
    assert base is not None
    first = stream.start_time or 0
    if since > 0:
        container.seek(first + int(since / base), stream=stream)
    rate, last = info_of(stream).fps or 25.0, -1.0
    for frame in container.decode(stream):
        seconds = last + 1 / rate if frame.pts is None else float((frame.pts - first) * base)
        if seconds > last or last < 0:  # a frame of no duration is not seen
            last = max(seconds, 0.0)
            yield last, frame


def shown_size(frame: Any) -> tuple[int, int]:
    """(width, height) after rotation."""
    turned = round(frame.rotation / 90) % 2
    return (frame.height, frame.width) if turned else (frame.width, frame.height)


def upright(picture: Frames, frame: Any) -> Frames:
    """A picture of a frame [H, W, ...], turned as it is to be shown."""
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def is_hdr(frame: Any) -> bool:
    """Whether its brightness is beyond what a usual screen shows."""
    return int(frame.color_trc) in (_PQ, _HLG)


def rgb(frame: Any, short_side: int | None = None) -> Frames:
    """uint8 [H, W, 3] as shown, made smaller where its short side is longer."""
    width, height = smaller((frame.width, frame.height), short_side)
    if is_hdr(frame):
        deep = frame.reformat(width, height, "rgb48le").to_ndarray()
        return upright(_curve(int(frame.color_trc))[deep], frame)
    if (width, height) != (frame.width, frame.height):
        frame_ = frame.reformat(width, height, "rgb24", interpolation="AREA")
        return upright(frame_.to_ndarray(), frame)
    return upright(frame.to_ndarray(format="rgb24"), frame)


def smaller(size: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """A size whose short side is at most so many pixels, its shape kept."""
    if short_side is None or min(size) <= short_side:
        return size
    scale = short_side / min(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


@lru_cache(maxsize=2)
def _curve(transfer: int) -> Frames:
    """HDR's 16 bits to SDR's 8, channel by channel: white is white, and what is brighter too."""
    signal = np.arange(65536) / 65535
    if transfer == _PQ:  # SMPTE ST 2084
        power = signal ** (1 / 78.84375)
        top = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
        light = 10000 * top ** (1 / 0.1593017578125) / _WHITE
    else:  # hybrid log-gamma, ITU-R BT.2100, on a screen of 1000 candela
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        light = 1000 * scene**1.2 / _WHITE
    light = np.where(light > 0.8, 0.8 + 0.2 * np.tanh((light - 0.8) / 0.2), light)
    return np.round(255 * np.clip(light, 0, 1) ** (1 / 2.4)).astype(np.uint8)


def frames_at(candidate: Candidate, places: Sequence[int], convert: Convert) -> Iterator[Frames]:
    """Pictures of a candidate's frames at rising places, decoded as they are asked for.

    Raises:
        Unreadable, OSError: if the video cannot be read there.
        ValueError: if the places do not rise from 0 to `frame_count - 1`.
    """
    count = candidate.frame_count
    rising = all(a <= b for a, b in zip(places, places[1:], strict=False))
    if places and not (rising and places[0] >= 0 and places[-1] < count):
        raise ValueError(f"the places are {list(places)[:8]}, expected some from 0 to {count - 1}")
    if not places:
        return
    times = [candidate.start + (place + _EARLY) / candidate.fps for place in places]
    with (
        opened(candidate.source) as (container, stream),
        closing(_held(container, stream, times)) as held,
    ):
        shown: tuple[Any, Frames] | None = None
        for frame in held:
            if shown is None or frame is not shown[0]:
                shown = frame, convert(frame)
            yield shown[1]


def _held(
    container: InputContainer, stream: VideoStream, times: list[float]
) -> Generator[Any, None, None]:
    """For each of some rising times the last frame that begins before it."""
    frames = timed(container, stream, times[0])
    before = following = next(frames, None)
    if before is None or before[0] > times[0]:  # the index of the file is wrong
        frames.close()
        container.seek(stream.start_time or 0, stream=stream)
        frames = timed(container, stream)
        before = following = next(frames, None)
    if before is None or following is None:
        raise Unreadable("it has no frames where it is said to")
    following = next(frames, None)
    for time in times:
        while following is not None and following[0] <= time:
            before, following = following, next(frames, None)
        yield before[1]


_cache: OrderedDict[tuple[Any, ...], Frames] = OrderedDict()


def read_frames(
    candidate: Candidate, places: Sequence[int] | None, short_side: int | None
) -> Frames:
    """See `Candidate.frames`; what was read last is kept, up to `CACHE_BYTES`, and read-only."""
    wanted = range(candidate.frame_count) if places is None else [int(place) for place in places]
    part = (candidate.source, candidate.start, candidate.end, candidate.fps)
    key = (*part, short_side, None if places is None else tuple(wanted))
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    pictures = frames_at(candidate, wanted, lambda frame: rgb(frame, short_side))
    frames = _stacked(pictures, len(wanted))
    frames.flags.writeable = False
    if frames.nbytes <= CACHE_BYTES:
        _cache[key] = frames
        while sum(held.nbytes for held in _cache.values()) > CACHE_BYTES:
            _cache.popitem(last=False)
    return frames


def _stacked(pictures: Iterator[Frames], count: int) -> Frames:
    """[T, H, W, 3] of pictures one by one: they are never in memory twice."""
    frames: npt.NDArray[np.uint8] = np.empty((0, 0, 0, 3), np.uint8)
    for place, picture in enumerate(pictures):
        if place == 0:
            frames = np.empty((count, *picture.shape), np.uint8)
        elif picture.shape != frames.shape[1:]:
            raise Unreadable("its frames change their size")
        frames[place] = picture
    return frames
