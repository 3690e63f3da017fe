"""Picture files that lie, are damaged or cost too much; a function of the seed alone."""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

Case = tuple[str, bytes]
_KINDS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
_MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "LA")
_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a\x08\0\x08\0\0\0\0",
    b"RIFF\xff\xff\xff\x7fWEBPVP8 ",
    b"II*\0\x08\0\0\0",
    b"BM",
    b"P3\n9 9\n255\n",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\0\0\0 ftypavif",
)


def cases(seed: int, count: int) -> Iterator[Case]:
    """(what it is, the file's bytes), `count` of them, each of at most a few megabytes."""
    draw = random.Random(seed)
    for i in range(count):
        make = _MAKERS[i % len(_MAKERS)]
        yield f"{make.__name__.strip('_')} {seed}/{i}", make(draw)


def encoded(draw: random.Random, kind: str | None = None, **options: object) -> bytes:
    """A small whole picture of some kind and mode."""
    kind = kind or draw.choice(_KINDS)
    width, height = draw.randrange(1, 80), draw.randrange(1, 80)
    pixels = np.random.default_rng(draw.randrange(2**32)).integers(0, 256, (height, width, 3))
    image = Image.fromarray(pixels.astype(np.uint8))
    for mode in (draw.choice(_MODES), "RGB"):
        buffer = io.BytesIO()
        try:
            (image if mode == "I;16" else image.convert(mode)).save(buffer, kind, **options)
            return buffer.getvalue()
        except (OSError, ValueError):  # not every kind has every mode
            continue
    raise AssertionError(f"{kind} takes no RGB")


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], depth: int, colour: int, data: bytes, *more: bytes) -> bytes:
    """A PNG that claims a size, whatever is in it."""
    head = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    body = b"".join((chunk(b"IHDR", head), *more, chunk(b"IDAT", data), chunk(b"IEND", b"")))
    return _MAGIC[0] + body


def zeros(count: int) -> bytes:
    """So many zeros as zlib packs them, a thousandth of their size."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(min(1 << 20, count - at))) for at in range(0, count, 1 << 20)]
    return b"".join([*parts, packer.flush()])


def tiff(entries: dict[int, int], data: bytes) -> bytes:
    """A TIFF of one directory; the value -1 stands for where `data` begins."""
    begin = 8 + 2 + 12 * len(entries) + 4
    rows = b"".join(
        struct.pack("<HHII", tag, 4, 1, begin if value == -1 else value)
        for tag, value in sorted(entries.items())
    )
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4) + data


def _flipped(draw: random.Random) -> bytes:
    data = bytearray(encoded(draw))
    for _ in range(draw.randrange(1, 20)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def _cut(draw: random.Random) -> bytes:
    data = encoded(draw)
    return data[: draw.randrange(len(data))]


def _spliced(draw: random.Random) -> bytes:
    first, second = encoded(draw), encoded(draw)
    return first[: draw.randrange(len(first))] + second[draw.randrange(len(second)) :]


def _junk(draw: random.Random) -> bytes:
    magic = draw.choice(_MAGIC)
    return magic + draw.choice((bytes(5 << 20), draw.randbytes(draw.randrange(4000)), magic * 500))


def _huge_claim(draw: random.Random) -> bytes:
    """A size of up to 2^31 pixels in a few bytes."""
    size = draw.choice(
        ((99_999_999, 1), (1, 99_999_999), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (0, 5))
    )
    depth, colour = draw.choice(((8, 0), (8, 2), (8, 6), (16, 0), (16, 6), (1, 0), (8, 3)))
    return png(size, depth, colour, draw.randbytes(draw.randrange(20)))


def _claim(draw: random.Random) -> bytes:
    """Another width or height in the header of a whole file, or anything that looks like one."""
    data = bytearray(encoded(draw))
    for _ in range(2):
        at = draw.randrange(min(len(data), 64))
        value = draw.choice((0, 1, 255, 65535, 2**24, 2**31 - 1, 2**32 - 1))
        order = draw.choice(("little", "big"))
        data[at : at + 4] = value.to_bytes(4, order)  # type: ignore[arg-type]
    return bytes(data)


def _bomb(draw: random.Random) -> bytes:
    """Tens of megapixels out of kilobytes; most of them are right pictures."""
    side = draw.choice((500, 1500, 4000))
    depth, colour, each = draw.choice(((16, 0, 2), (1, 0, 0.125), (8, 2, 3), (8, 6, 4), (16, 2, 6)))
    return png((side, side), depth, colour, zeros(side * (1 + -int(-side * each // 1))))


def _tiles(draw: random.Random) -> bytes:
    """A small TIFF in tiles that are not."""
    side = draw.choice((16, 12_000, 30_000, 2**31))
    data = zeros(min(side, 3000) ** 2)
    entries = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: -1}
    return tiff({**entries, 325: len(data)}, data)


def _scans(draw: random.Random) -> bytes:
    """A progressive JPEG that repeats its last scan."""
    buffer = io.BytesIO()
    side = draw.choice((64, 64, 64, 5000))
    Image.new("L", (side, side)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * draw.choice((3, 300)) + data[-2:]


def _texts(draw: random.Random) -> bytes:
    """Notes in a PNG that unpack to more than they say."""
    note = b"note\0\0" + zeros(draw.choice((1 << 10, 60 << 20)))
    kind = draw.choice((b"zTXt", b"iCCP"))
    return png((1, 1), 8, 0, zlib.compress(b"\0\0"), *[chunk(kind, note)] * 4)


def _rotated(draw: random.Random) -> bytes:
    """A turn that may be none, in EXIF that may be damaged."""
    exif = Image.Exif()
    exif[0x0112] = draw.choice((0, 1, 3, 5, 6, 8, 9, 65535))
    content = bytearray(exif.tobytes())
    for _ in range(draw.randrange(4)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return encoded(draw, draw.choice(("JPEG", "PNG", "WEBP")), exif=bytes(content))


def _animated(draw: random.Random) -> bytes:
    frames = [Image.new("RGB", (9, 9), (i, 0, 0)) for i in range(5)]
    buffer = io.BytesIO()
    kind = draw.choice(("GIF", "PNG", "WEBP", "TIFF"))
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    data = bytearray(buffer.getvalue())
    for _ in range(draw.randrange(6)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


_MAKERS: tuple[Callable[[random.Random], bytes], ...] = (
    _flipped,
    _cut,
    _spliced,
    _junk,
    _huge_claim,
    _claim,
    _bomb,
    _tiles,
    _scans,
    _texts,
    _rotated,
    _animated,
    encoded,
)
