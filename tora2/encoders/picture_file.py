"""Picture files: opened within bounds, so that no file costs much more than its picture."""

import io
import mmap
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from ..fields import show
from ..files import regular_file

MAX_BYTES = 512 << 20
MAX_PIXELS = 100_000_000
MAX_EDGE = 100_000
# Decoders written for pictures; Pillow's others run programs (EPS) or parse documents.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")

_MAX_READS = 2_000_000
_MAX_SEGMENTS = 100_000
_SEGMENT = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # between them lie only pixels
_SCAN, _END = 0xDA, 0xD9
_TILE_SIDES = (322, 323)

_DECODING = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class _Refusal(ValueError):
    """A whole sentence already."""


class _Stream(io.BufferedReader):
    """A file that gives up when it is read in too many pieces: junk is searched byte by byte."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _MAX_READS:
            raise OSError("no pixels are found in it")
        return super().read(size)


@contextmanager
def opened_picture(
    source: str | os.PathLike[str] | bytes, name: str | None = None
) -> Iterator[Image.Image]:
    """Open an image file for the `with` block to decode; what decoders raise becomes a sentence.

    Nothing is decoded yet, and what would cost too much is refused: anything but a regular file, a
    file of more than `MAX_BYTES`, a picture of more than `MAX_PIXELS` (half of it where decoders
    take twice the memory) or with a side of more than `MAX_EDGE`, a JPEG that goes over its pixels
    again and again, a TIFF whose tiles are larger than pictures. Decoded pixels take at most 4
    bytes each.

    Args:
        source: a path, or the bytes of a file.
        name: what errors call it; the path, or "the image" for bytes.

    Raises:
        ValueError: if the file is missing, refused, not an image, or damaged.
    """
    name = name or ("the image" if isinstance(source, bytes) else os.fspath(source))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _stream(source, name) as stream:
                Image.init()
                known = [f for f in FORMATS if f in Image.OPEN]
                with Image.open(stream, formats=known) as image:
                    _check(image, stream, source, name)
                    yield image
        except _Refusal:
            raise
        except FileNotFoundError as error:
            raise ValueError(f"{name} does not exist; expected an image file") from error
        except Image.DecompressionBombError as error:
            raise ValueError(_too_large(name, "too many pixels")) from error
        except _DECODING as error:
            raise ValueError(
                f"{name} cannot be read as an image ({_reason(error)}); "
                "expected a whole JPEG, PNG, WebP, GIF, BMP or TIFF file"
            ) from error


def _stream(source: str | os.PathLike[str] | bytes, name: str) -> _Stream:
    if isinstance(source, bytes):
        return _Stream(io.BytesIO(source))
    try:
        file = regular_file(source)
    except ValueError as error:
        raise _Refusal(str(error)) from error
    if (size := file.stat().st_size) > MAX_BYTES:
        raise _Refusal(
            f"{name} has {size >> 20} MiB; expected an image file of at most {MAX_BYTES >> 20}"
        )
    return _Stream(io.FileIO(file))


def _check(image: Image.Image, stream: _Stream, source: object, name: str) -> None:
    width, height = image.size
    most = MAX_PIXELS // _weight(image)
    if width * height > most:
        raise _Refusal(_too_large(name, f"{width}x{height} pixels", most))
    if max(width, height) > MAX_EDGE:
        raise _Refusal(
            f"{name} has {width}x{height} pixels; expected sides of at most {MAX_EDGE} pixels"
        )
    if image.format == "TIFF":
        tile = [image.tag_v2.get(tag, 1) for tag in _TILE_SIDES]  # type: ignore[attr-defined]
        if not all(isinstance(x, int) for x in tile) or tile[0] * tile[1] > most:
            raise _Refusal(_too_large(name, f"tiles of {'x'.join(map(show, tile))} pixels", most))
    if image.format in ("JPEG", "MPO"):
        most = 20 * MAX_PIXELS // (width * height)
        if isinstance(source, bytes):
            scans = _scans(source, most)
        else:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                scans = _scans(content, most)
        if scans > most:
            raise _Refusal(
                f"{name} goes over its {width}x{height} pixels {scans} times or more; "
                f"expected a JPEG file of at most {most} scans"
            )


def _weight(image: Image.Image) -> int:
    """How much more a pixel costs than usual."""
    tiles = getattr(image, "tile", None)
    if tiles and tiles[0][0] == "ppm_plain":  # numbers as text, decoded in Python
        return 20
    return 2 if image.format in ("WEBP", "JPEG2000") else 1  # they hold several copies


def _scans(content: bytes | mmap.mmap, most: int) -> int:
    """How often a JPEG goes over its pixels, counted up to one more than `most`."""
    scans, at = 0, 2
    for _ in range(_MAX_SEGMENTS):
        found = _SEGMENT.search(content, at)
        if found is None or scans > most:
            return scans
        at = found.end()
        if content[at - 1] == _END:
            return scans
        scans += content[at - 1] == _SCAN
        at += int.from_bytes(content[at : at + 2], "big")
    return most + 1


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its content is not recognised"
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    lines = str(error).splitlines()
    return lines[0][:120] if lines else type(error).__name__


def _too_large(name: str, size: str, most: int = MAX_PIXELS) -> str:
    return f"{name} has {size}; expected at most {most // 1_000_000} million"
