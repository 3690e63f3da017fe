"""Files of other tools: read to exactly their points, written, refused with file and line."""

import errno
import itertools
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tora2.trajectory import Tracks, parse, sample
from tora2.trajectory.document import dumps
from tora2.trajectory.formats import FORMATS, from_host, load, loads, save, to_host
from tora2.trajectory.tora import resample

DOCUMENT = parse(
    {
        "version": 1,
        "width": 200,
        "height": 100,
        "frames": 9,
        "entities": [{"id": "cat"}],
        "tracks": [
            {"id": "a", "entity": "cat", "points": [{"x": 0.1, "y": 0.2}, {"x": 0.7, "y": 0.9}]},
            {"id": "b", "points": [{"x": 0.5, "y": 0.5}], "start": 2, "end": 5},
        ],
    }
)
SIZE = {"width": 200, "height": 100}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def assert_same(first: Tracks, second: Tracks) -> None:
    assert torch.equal(first.visible, second.visible)
    torch.testing.assert_close(first.points[first.visible], second.points[second.visible])


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.json", None), ("a.npz", None), ("a.csv", None), ("a.json", "tracks"), ("a", "csv")],
)
def test_round_trip_on_disk(tmp_path: Path, name: str, format: str | None) -> None:
    assert save(DOCUMENT, tmp_path / name, format) == [tmp_path / name]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    again = load(tmp_path / name, **SIZE)
    assert_same(sample(again), sample(DOCUMENT))
    assert (again == DOCUMENT) == (name == "a.json" and format is None)


def test_points_round_trip_without_visibility(tmp_path: Path) -> None:
    save(DOCUMENT, tmp_path / "a.json", "points")
    assert torch.equal(sample(load(tmp_path / "a.json", **SIZE)).points, sample(DOCUMENT).points)


def test_tora_files_hold_a_track_each(tmp_path: Path) -> None:
    files = save(DOCUMENT, tmp_path / "path.txt")
    assert [file.name for file in files] == ["path-1.txt", "path-2.txt"]
    again = sample(load(files, frames=9, **SIZE))
    cell = torch.tensor([200 / 256, 100 / 256])
    assert ((again.points - sample(DOCUMENT).points).abs() <= 0.5 * cell + 1e-4).all()
    one = load(files[0], frames=9, **SIZE)
    assert save(one, tmp_path / "again.txt") == [tmp_path / "again.txt"]
    assert (tmp_path / "again.txt").read_bytes() == files[0].read_bytes()


def test_tora_refuses_a_path_off_the_frame(tmp_path: Path) -> None:
    document = loads('[{"x": -1, "y": 0}]')
    with pytest.raises(ValueError, match="track 1 is off the frame at frame 0"):
        save(document, tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_tora_points_are_passed_when_upstream_passes_them(tmp_path: Path) -> None:
    points = [(40, 208), (40, 148), (40, 100), (52, 58), (60, 57), (74, 68)]
    text = "".join(f"{x}, {y}\r\n" for x, y in points) + "\r\n\r\n"
    document = load(write(tmp_path / "coaster.txt", text), width=256, height=256, frames=17)
    upstream = resample([points], 17, (256, 256))[0]
    ours = sample(document).points[0]
    keys = [point.frame for point in document.tracks[0].points]
    assert ours[keys].tolist() == upstream[keys].tolist() == [list(point) for point in points]
    difference = ours - upstream  # upstream truncates between them
    assert difference.min() > -1e-4 and difference.max() < 1


def test_tora_says_that_the_tail_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        document = loads("".join(f"{index},7\n" for index in range(60)))
    assert "60 points do not fit 49 frames, so it ends at point 49" in caplog.text
    assert sample(document).points[0, -1, 0] == pytest.approx(48 / 256 * 720)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_and_windows_newlines(tmp_path: Path, encoding: str) -> None:
    texts = {
        "a.txt": "1,2\r\n\r\n3,4\r\n",
        "a.csv": "\r\nTrack, Frame, x, y\r\n\r\nkäse,0,1,2\r\nkäse,4,3,4\r\n",
        "a.json": '\r\n[[{"x": 1, "y": 2}]]\r\n',
        "b.json": dumps(DOCUMENT).replace('"cat"', '"chat"').replace(",", ",\r\n"),
    }
    for name, text in texts.items():
        assert load(write(tmp_path / name, text.encode(encoding))).tracks


def test_point_lists_of_one_or_more_tracks() -> None:
    row = [{"x": 10.25, "y": 20}, {"x": 11, "y": 22.5}]
    one = sample(loads(json.dumps(row)))
    assert one.points[0, :2].tolist() == [[10.25, 20], [11, 22.5]]
    assert one.frames == 5
    assert one.visible.tolist() == [[True, True, False, False, False]]
    two = sample(loads(json.dumps([row, row * 4])))
    assert two.frames == 9
    assert two.visible.sum(dim=1).tolist() == [2, 8]
    assert len(loads("[]").tracks) == 0


hundredths = st.integers(-90_000, 90_000).map(lambda value: np.float32(value / 100))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda count: arrays.arrays(np.float32, (13, count, 2), elements=hundredths)
    )
)
def test_samples_are_returned_exactly(path: Any) -> None:
    tracks = sample(from_host({"track_path": path}, (99, 201)))
    assert np.array_equal(tracks.points.numpy(), path.swapaxes(0, 1))
    back = to_host(tracks)
    assert torch.equal(back["track_path"], torch.from_numpy(path))
    assert back["track_visibility"].shape == path.shape[:2]
    assert back["track_visibility"].dtype == torch.bool


def test_a_track_that_comes_back_is_two(caplog: pytest.LogCaptureFixture) -> None:
    path = torch.arange(5.0)[:, None, None].repeat(1, 2, 2)
    path[2, 0] = float("nan")
    seen = torch.tensor([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0]]).T
    with caplog.at_level(logging.WARNING):
        document = from_host({"track_path": path, "track_visibility": seen}, (64, 64))
    assert "track 2 of 2 is never visible" in caplog.text
    tracks = sample(document)
    assert tracks.visible.int().tolist() == [[1, 1, 0, 0, 0], [0, 0, 0, 1, 1]]
    assert tracks.points[0, :2, 0].tolist() + tracks.points[1, 3:, 0].tolist() == [0, 1, 3, 4]


def test_csv_between_and_outside_its_rows() -> None:
    text = "track,frame,x,y,visible\nb,6,30,0,1\nb,2,10,8,true\nc,0,5,5,1\nc,3,0,0,0\nc,4,9,9,1\n"
    tracks = sample(loads(text))
    assert tracks.frames == 9
    assert tracks.points[0, 2:7].tolist() == [[10, 8], [15, 6], [20, 4], [25, 2], [30, 0]]
    assert tracks.visible.int().sum(dim=1).tolist() == [5, 1, 1]
    assert tracks.points[2, 4].tolist() == [9, 9]


JUNK: list[tuple[str | bytes, str]] = [
    ("1,2\n3;4\n", r"line 2 is '3;4', expected x,y in whole numbers from 0 to 255"),
    ("1,2\n3.5,4\n", "line 2 is '3.5,4'"),
    ("1,2\n\n256,4\n", "line 3, x is 256, expected an integer from 0 to 255"),
    ("1,2\n3," + "9" * 5000, "line 2, y is 256"),
    ("1,2\n", "holds 1 points, expected at least 2"),
    ("", "holds 0 points"),
    ("\x00\x01", "line 1 is"),
    (b"1,2\n\xff,4\n", "line 2 is not UTF-8 text"),
    ("track,frame,x\n", "the header is 'track,frame,x', expected track,frame,x,y"),
    ("track,frame,x,y\nt,0,1\n", "line 2 has 3 cells, expected 4"),
    ("track,frame,x,y\nt,0.5,1,2\n", "line 2: frame is '0.5', expected a whole number from 0 to"),
    ("track,frame,x,y\nt,2000,1,2\n", "line 2: frame is '2000'"),
    ("track,frame,x,y\n\nt,0,nan,2\n", "line 3: x is 'nan', expected a finite number"),
    ("track,frame,x,y\nt,0,1,2\nt,0,1,2\n", "line 3: frame 0 of track 't' occurs twice"),
    ("track,frame,x,y,visible\nt,0,1,2,maybe\n", "line 2: visible is 'maybe'"),
    ("track,frame,x,y\nt,0,1," + "1" * 200_000, "line 2 is not CSV"),
    ('[{"x": 1, "y": 2}', "the file is not JSON: .* line 1"),
    ('[{"x": 1}]', r"\[0\]\[0\] has no key 'y'"),
    ('[[{"x": 1, "y": 2}], 5]', r"\[1\] is 5, expected a list"),
    ('[[{"x": 1, "y": 2}], []]', r"\[1\] has 0 items"),
    ('[[{"x": 1, "y": Infinity}]]', r"\[0\]\[0\]\.y is inf"),
    ('[[{"x": 1, "y": "2"}]]', r"\[0\]\[0\]\.y is '2'"),
    ("[" * 200_000, "nested too deeply"),
    ('{"version": 3}', "newer Tora2"),
    ("{}", "no key 'version'"),
    ('{"track_path": [[1, 2]]}', r"track_path has the shape \(1, 2\), expected \[T, N, 2\]"),
    ('{"track_path": [[[1, 2]], [[1]]]}', "track_path is not an array of numbers"),
    ('{"track_path": [[[1, 1e400]]]}', "points.0..y is inf"),
    ('{"track_path": [[[1, 2]]], "track_visibility": [1]}', "track_visibility has the shape"),
    (b"PK\x03\x04 and nothing more", "not a complete .npz file"),
]


@pytest.mark.parametrize(("content", "message"), JUNK, ids=map(str, range(len(JUNK))))
def test_junk_is_refused_with_the_name_of_the_file(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load(write(tmp_path / "given.dat", content))
    assert "given.dat: " in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_content_is_a_document_or_a_value_error(content: str | bytes) -> None:
    for start in ("", "track,frame,x,y\n", "[", "PK\x03\x04"):
        head = start.encode() if isinstance(content, bytes) else start
        try:
            loads(head + content)  # type: ignore[operator]
        except ValueError as error:
            assert "\n" not in str(error)


def test_npz_refuses_pickles_and_bombs(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickle.npz", track_path=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle.npz: "):
        load(tmp_path / "pickle.npz")
    np.savez_compressed(tmp_path / "bomb.npz", track_path=np.zeros((3000, 500, 2)))
    with pytest.raises(ValueError, match="bomb.npz: track_path.npy is .* bytes, expected at most"):
        load(tmp_path / "bomb.npz")
    np.savez(tmp_path / "other.npz", flow=np.zeros(3))
    with pytest.raises(ValueError, match="other.npz: TRACKS holds 'flow', expected track_path"):
        load(tmp_path / "other.npz")


def test_damaged_npz_is_refused(tmp_path: Path) -> None:
    whole = save(DOCUMENT, tmp_path / "a.npz")[0].read_bytes()
    for place in range(4, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            loads(bytes(damaged))
        except ValueError:
            continue


def test_several_files_must_all_be_toras(tmp_path: Path) -> None:
    good = write(tmp_path / "a.txt", "1,2\n3,4\n")
    bad = write(tmp_path / "b.json", "[]")
    with pytest.raises(ValueError, match="b.json: line 1 is"):
        load([good, bad])
    with pytest.raises(ValueError, match="no file is named"):
        load([])
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.txt")


MANY = loads(json.dumps([[[n, n], [n + 9, n]] for n in range(12)]), **SIZE)


def test_tora_files_appear_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills at the ninth file, or it cannot take its place: what was there stays."""
    write(tmp_path / "path-3.txt", "mine")
    write(tmp_path / "path-12.txt", "mine as well")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def failing(function: Callable[..., Any], wanted: str) -> Callable[..., Any]:
        calls = itertools.count(1)

        def called(*arguments: Any, **options: Any) -> Any:
            if wanted in str(arguments[0]) and next(calls) == 9:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*arguments, **options)

        return called

    for owner, name in ((Path, "write_bytes"), (os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing(getattr(owner, name), "path-"))
            with pytest.raises(OSError, match="No space left"):
                save(MANY, tmp_path / "path.txt")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert len(save(MANY, tmp_path / "path.txt")) == 12
    assert len(list(tmp_path.iterdir())) == 12


def test_save_refuses_unknown_formats(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"extension is '.xml', expected one of .json, .npz"):
        save(DOCUMENT, tmp_path / "a.xml")
    with pytest.raises(ValueError, match="format is 'dxf', expected one of document, points"):
        save(DOCUMENT, tmp_path / "a.json", "dxf")
    with pytest.raises(FileNotFoundError, match="cannot write"):
        save(DOCUMENT, tmp_path / "absent" / "a.json")
    for format in FORMATS:
        save(DOCUMENT, tmp_path / f"all-{format}", format)
