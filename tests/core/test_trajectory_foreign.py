"""The one rule for path files of other tools, which holds the editor as well; the bounds it has."""

import base64
import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tora2.trajectory import sample
from tora2.trajectory.formats import loads, npz

SCRIPT = Path(__file__).parents[1] / "fixtures" / "make_foreign_paths.py"
spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
assert spec is not None and spec.loader is not None
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
CASES = json.loads(script.FILE.read_text(encoding="utf-8"))


def content(case: dict[str, Any]) -> str | bytes:
    return case["text"] if "text" in case else base64.b64decode(case["bytes"])


@pytest.mark.parametrize("case", CASES["read"], ids=lambda case: case["name"])
def test_what_is_read(case: dict[str, Any]) -> None:
    document = loads(content(case), **CASES["canvas"])
    assert script.made(document) == {"frames": case["frames"], "tracks": case["tracks"]}
    tracks = sample(document)
    for row, points in enumerate(case["tracks"]):
        frames = [frame for frame, _, _ in points]
        assert tracks.visible[row].nonzero()[:, 0].tolist() == [*range(frames[0], frames[-1] + 1)]
        places = np.array([place for _, *place in points])
        np.testing.assert_allclose(tracks.points[row][frames], places, atol=0.01)


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["name"])
def test_what_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=" ") as caught:
        loads(content(case), **CASES["canvas"])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_the_cases_are_the_ones_their_script_makes() -> None:
    names = [name for name, _ in [*script.read_by_length(), *script.read_as_well()]]
    assert [case["name"] for case in CASES["read"]] == names
    assert [case["name"] for case in CASES["refused"]] == [name for name, _ in script.refused()]


class Unpacking:
    """Counts what a zip file is asked to unpack."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        read = zipfile.ZipExtFile.read

        def counted(file: zipfile.ZipExtFile, n: int = -1) -> bytes:
            data = read(file, n)
            self.bytes += len(data)
            return data

        monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)


def test_only_the_two_arrays_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = Unpacking(monkeypatch)
    path = script.npy(np.ones((4, 1, 2)))
    bomb = {f"track_{n}.npy": bytes(npz.MAX_MEMBER) for n in range(5)}
    loads(script.npz({"track_path.npy": path, **bomb}, zipfile.ZIP_DEFLATED))
    assert unpacked.bytes == len(path)


def test_a_member_is_no_longer_than_the_directory_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small size in the zip's directory over a stream that goes on."""
    unpacked = Unpacking(monkeypatch)
    path = script.npy(np.ones((4, 1, 2)))
    whole = bytearray(script.npz({"track_path.npy": path + bytes(10**7)}, zipfile.ZIP_DEFLATED))
    place = whole.index(b"PK\x01\x02") + 24
    whole[place : place + 4] = len(path).to_bytes(4, "little")
    with pytest.raises(ValueError, match="not a complete .npz file"):
        loads(bytes(whole))
    assert unpacked.bytes <= len(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(method: int) -> None:
    with pytest.raises(ValueError, match=rf"compression of track_path.npy is {method}"):
        loads(script.npz({"track_path.npy": script.npy(np.ones((4, 1, 2)))}, method))


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (",
        b"{'descr': '<f8', 'fortran_order': 0, 'shape': (1, 1, 2), }",
        b"{'descr': ('<f8', (9,)), 'fortran_order': False, 'shape': (1, 1, 2), }",
        b"{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1, 1, 2), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"9" * 400 + b",), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999, 999999999), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 1, 2), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1L, 1, 2), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': " + b"(" * 3000,
        b"\xff\x00\n'",
    ],
)
def test_headers_are_never_evaluated(header: bytes) -> None:
    for version in (b"\x01\x00", b"\x02\x00"):
        size = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
        data = b"\x93NUMPY" + version + size + header + bytes(16)
        with pytest.raises(ValueError, match="track_path") as caught:
            loads(script.npz({"track_path.npy": data}))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 250


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    path = np.random.default_rng(0).random((9, 2, 2)) * 90
    for save in (np.savez, np.savez_compressed):
        for array in (path, np.asfortranarray(path), path.astype(np.float16)):
            save(tmp_path / "a.npz", flow=np.zeros(9), track_path=array)
            tracks = sample(loads((tmp_path / "a.npz").read_bytes()))
            np.testing.assert_allclose(tracks.points, array.swapaxes(0, 1), atol=1e-4)


def test_lines_and_tracks_are_counted_before_they_are_kept() -> None:
    with pytest.raises(ValueError, match="more than 1049600 lines"):
        loads("1,2\n" + "\n" * 2_000_000)
    rows = "".join(f"t{n},0,1,1\n" for n in range(600))
    with pytest.raises(ValueError, match="line 514 begins another track, expected at most 512"):
        loads("track,frame,x,y\n" + rows)
