"""One pass over a whole video, of which several stages of a worker take what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .candidate import Frames
from .reading import Unreadable, info_of, is_hdr, opened, rgb, shown_size, timed

SMALL = 144  # pixels of the short side of the pictures that observers see
_CUT_OFF = 0.95


class Observer(Protocol):
    """Sees the frames of one video."""

    def see(self, place: int, seconds: float, picture: Frames) -> None:
        """A frame: its number, its time, and a small uint8 [H, W, 3] RGB picture of it."""

    def result(self) -> Any:
        """What came of it, after the last frame."""


@dataclass
class Scan:
    """What one pass over a video found.

    Attributes:
        width, height: pixels as shown.
        fps: frames a second, measured where the header is wrong.
        frames: how many; `end`: seconds, when the last of them ends.
        hdr, variable: whether it is; `rotation` in degrees, counter-clockwise.
        damage: in words, or None.
        seen: the observers' results by name.
    """

    width: int = 0
    height: int = 0
    fps: float = 0.0
    frames: int = 0
    end: float = 0.0
    hdr: bool = False
    variable: bool = False
    rotation: int = 0
    damage: str | None = None
    seen: dict[str, Any] = field(default_factory=dict)


_observers: dict[str, Callable[[float], Observer]] = {}
_last: tuple[str, Scan] | None = None


def observe(name: str, make: Callable[[float], Observer]) -> None:
    """Let an observer see every video that this worker scans from now on.

    Args:
        name: of its result in `Scan.seen`.
        make: makes one for a video, of the frames a second that its header states, at least 1.
    """
    global _last
    _observers[name] = make
    _last = None


def scan(path: str) -> Scan:
    """Decode a video from end to end; the last one that was scanned is not scanned again.

    Raises:
        OSError: if the file cannot be opened.
    """
    global _last
    if _last is None or _last[0] != path:
        _last = None
        _last = (path, _scan(path))
    return _last[1]


def _scan(path: str) -> Scan:
    found = Scan()
    try:
        with opened(path) as (container, stream):
            info = info_of(stream)
            claimed = float(container.duration or 0) / 1e6
            observers = {name: make(info.fps or 25.0) for name, make in _observers.items()}
            first = last = shortest = longest = 0.0
            for seconds, frame in timed(container, stream):
                if frame.is_corrupt:
                    raise Unreadable(f"its frame {found.frames} at {seconds:.1f} s is damaged")
                size = shown_size(frame)
                if not found.frames:
                    first = seconds
                    found.width, found.height = size
                    found.hdr, found.rotation = is_hdr(frame), round(frame.rotation)
                elif size != (found.width, found.height):
                    raise Unreadable(
                        f"it changes from {found.width}x{found.height} to {size[0]}x{size[1]} "
                        f"pixels at {seconds:.1f} s"
                    )
                else:
                    step = seconds - last
                    shortest = step if found.frames == 1 else min(shortest, step)
                    longest = max(longest, step)
                if observers:
                    picture = rgb(frame, SMALL)
                    for observer in observers.values():
                        observer.see(found.frames, seconds, picture)
                found.frames += 1
                last = seconds
    except Unreadable as error:
        found.damage = str(error)
        return found
    if not found.frames:
        found.damage = "it holds no frame"
        return found
    measured = (found.frames - 1) / (last - first) if found.frames > 1 else info.fps or 1.0
    found.fps = info.fps if abs(info.fps - measured) < 0.02 * measured else measured
    found.end = last + 1 / found.fps
    found.variable = longest > 1.5 * shortest + 1e-3
    found.seen = {name: observer.result() for name, observer in observers.items()}
    if info.frames and found.frames < _CUT_OFF * info.frames - 1:
        found.damage = f"it ends after {found.frames} of the {info.frames} frames that it states"
    elif not info.frames and found.end < _CUT_OFF * claimed - 1:
        found.damage = f"it ends after {found.end:.1f} of the {claimed:.1f} s that it states"
    return found
