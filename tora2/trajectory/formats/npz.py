"""NumPy's .npz as far as `TRACKS` needs it: two arrays of numbers, whatever else the zip holds."""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...fields import refuse, show
from ..document import MAX_FRAMES, MAX_TRACKS

_Array = npt.NDArray[np.generic]

ARRAYS = ("track_path", "track_visibility")
BARE = ("array", "arr_0", "tracks")
"""What a file may call its only array."""
MAX_MEMBERS = 64
MAX_MEMBER = MAX_TRACKS * MAX_FRAMES * 2 * 8 + 4096

_ENTRY = b"PK\x01\x02"  # begins every entry of a zip's directory
_BROKEN = "not a complete .npz file"
_MAGIC = b"\x93NUMPY"
_HEADER = {
    "descr": r"'([<>|=]?(?:[iu][1248]|f[248]|b1))'",
    "fortran_order": "(True|False)",
    "shape": r"\(((?:\d{1,9}, ?){0,3}(?:\d{1,9})?)\)",
}


def read_npz(content: bytes) -> dict[str, _Array]:
    """Those of `track_path` and `track_visibility` that a .npz file holds, else a bare `array`.

    Nothing else in the file is unpacked, and neither is what is larger than `TRACKS` can be.

    Raises:
        ValueError: if the file is damaged or has too many members, or an array is too large or
            not of plain numbers.
    """
    count = content.count(_ENTRY)
    if count > MAX_MEMBERS:
        raise ValueError(f"the file has {count} members, expected at most {MAX_MEMBERS}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            bare = [name for name in BARE if name in members][:1]
            wanted = [name for name in ARRAYS if name in members] or bare
            if not wanted:
                held = ", ".join(show(name) for name in list(members)[:4]) or "nothing"
                raise ValueError(f"TRACKS holds {held}, expected track_path")
            return {name: read_npy(_unpacked(archive, members[name]), name) for name in wanted}
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        OverflowError,
        UnicodeDecodeError,  # of a name
        RuntimeError,  # of an encrypted member; NotImplementedError of an unknown version
    ) as error:
        raise ValueError(f"{_BROKEN} ({show(str(error))[1:-1]})") from error


def write_npz(path: Path, track_path: _Array, track_visibility: _Array) -> None:
    """Write the arrays of `TRACKS` as a .npz file."""
    np.savez_compressed(path, track_path=track_path, track_visibility=track_visibility)


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    name = show(member.filename)[1:-1]
    if member.file_size > MAX_MEMBER:
        raise ValueError(f"{name} is {member.file_size} bytes, expected at most {MAX_MEMBER}")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refuse(f"the compression of {name}", member.compress_type, "0 (none) or 8 (deflate)")
    with archive.open(member) as file:
        data = file.read(member.file_size)
    if len(data) < member.file_size:
        raise EOFError(f"{name} is cut off")
    return data


def read_npy(data: bytes, name: str) -> _Array:
    """A .npy file's array, read without evaluating its header, which is a Python literal."""
    wide = data[6:7] > b"\x01"
    start = 12 if wide else 10
    if not data.startswith(_MAGIC) or len(data) < start:
        raise ValueError(f"{name} is not a NumPy array")
    offset = start + int.from_bytes(data[8:start], "little")
    header = data[start : min(offset, start + 4096)].decode("latin-1")
    found = {key: re.search(f"'{key}': {form}", header) for key, form in _HEADER.items()}
    kind, order, shape = (match and match[1] for match in found.values())
    if kind is None or order is None or shape is None:
        given = re.search("'descr': '([^']*)'", header)
        raise refuse(name, given[1] if given else header, "an array of plain numbers")
    dtype = np.dtype(kind)
    sizes = tuple(int(size) for size in re.findall(r"\d+", shape))
    count = math.prod(sizes)
    if count * dtype.itemsize > len(data) - offset:
        raise ValueError(f"{_BROKEN} ({name} ends before its {count} numbers)")
    flat = np.frombuffer(data, dtype, count, offset)
    return flat.reshape(sizes, order="F" if order == "True" else "C")
