"""The clip on disk: record, masks, shards, and which clips a step draws."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tora2.data.drawing import Tolerance, rows_of_step
from tora2.data.masks import decode_mask, encode_mask
from tora2.data.record import ClipEntity, ClipRecord, ClipSource, ClipTrack, parse_record
from tora2.data.shards import (
    INDEX,
    ShardWriter,
    json_bytes,
    read_index,
    read_member,
    scan,
    write_index,
    write_tar,
)

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(MASKS)
def test_masks_come_back(mask: np.ndarray) -> None:
    assert np.array_equal(decode_mask(encode_mask(mask), mask.shape), mask)


@given(MASKS)
def test_masks_are_those_of_cocos_tools(mask: np.ndarray) -> None:
    tools = pytest.importorskip("pycocotools.mask")
    theirs = tools.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode_mask(mask) == theirs["counts"].decode()


@pytest.mark.parametrize("runs", ["", "!", "0" * 200, "~" * 9, "ooooooo", "é", "1O"])
def test_damaged_masks_are_refused(runs: str) -> None:
    with pytest.raises(ValueError, match="pixels"):
        decode_mask(runs, (7, 9))


@given(st.text(max_size=40))
def test_any_text_is_a_mask_or_refused(runs: str) -> None:
    try:
        assert decode_mask(runs, (5, 6)).shape == (5, 6)
    except ValueError:
        pass


def make_record(frames: int = 5, entities: int = 2) -> ClipRecord:
    rng = np.random.default_rng(frames)
    mask = rng.random((48, 64)) > 0.5
    return ClipRecord(
        caption="a dog chases a ball",
        width=64,
        height=48,
        frames=frames,
        fps=8.0,
        entities=tuple(
            ClipEntity(
                id=f"e{i}",
                word="dog",
                span=(2, 5),
                references=(f"e{i}.0",),
                tracks=(
                    ClipTrack(
                        rng.uniform(-0.2, 1.2, (frames, 2)).astype(np.float32),
                        rng.random(frames) > 0.3,
                    ),
                ),
                masks={0: encode_mask(mask)},
            )
            for i in range(entities)
        ),
        scores={"flow": 3.25},
        source=ClipSource("a.mp4", 1.0, 2.5),
    )


def test_a_record_comes_back() -> None:
    record = make_record()
    again = parse_record(json_bytes(record.to_dict()))
    assert again.to_dict() == record.to_dict()
    track, other = record.entities[0].tracks[0], again.entities[0].tracks[0]
    assert np.allclose(track.points, other.points, atol=1e-6)
    assert np.array_equal(track.visible, other.visible)


CHANGES = [
    (("version",), 2, "version is 2"),
    (("frames",), 0, "frames is 0"),
    (("frames",), 6, "5 items"),
    (("width",), 10**30, "width"),
    (("extra",), 1, "extra"),
    (("scores",), {"flow": float("nan")}, "scores.flow"),
    (("entities", 0, "word"), "a\x00b", "word"),
    (("entities", 0, "id"), "../x", "id"),
    (("entities", 0, "id"), "e1", "e1"),
    (("entities", 0, "span"), [4, 2], "span"),
    (("entities", 0, "references"), ["e1.0"], "references"),
    (("entities", 0, "references"), ["e0/../../x.0"], "references"),
    (("entities", 0, "kind"), "auto", "kind"),
    (("entities", 0, "masks"), {"0": "!!"}, "mask"),
    (("entities", 0, "masks"), {"5": ""}, "5"),
    (("entities", 0, "tracks", 0, "points", 2), [1e308, 0], "points"),
    (("entities", 0, "tracks", 0, "points", 2), [True, 0], "points"),
    (("entities", 0, "tracks", 0, "visible", 2), 1, "visible"),
]


@pytest.mark.parametrize(("path", "value", "said"), CHANGES)
def test_malformed_records_are_refused_by_name(
    path: tuple[object, ...], value: object, said: str
) -> None:
    values = json.loads(json_bytes(make_record().to_dict()))
    place = values
    for key in path[:-1]:
        place = place[key]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    with pytest.raises(ValueError, match=said):
        parse_record(values)


def write_set(folder: Path, clips: int, shard_bytes: int = 4000) -> None:
    with ShardWriter(folder, shard_bytes) as writer:
        for number in range(clips):
            content = {"json": json_bytes(make_record(5 + number).to_dict()), "mp4": b"v" * number}
            writer.write(f"clip-{number:03d}", content)


def test_shards_are_indexed_and_read_at_random(tmp_path: Path) -> None:
    write_set(tmp_path, 7)
    rows = read_index(tmp_path / INDEX)
    shards = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert len(shards) > 1 and {row.shard for row in rows} == set(shards)
    for number in (6, 0, 3):
        assert rows[number].key == f"clip-{number:03d}"
        assert read_member(tmp_path / "shards", rows[number], "mp4") == b"v" * number
        record = parse_record(read_member(tmp_path / "shards", rows[number], "json"))
        assert record.frames == 5 + number


def test_shards_are_webdatasets(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    write_set(tmp_path, 5)
    shards = sorted(str(path) for path in (tmp_path / "shards").iterdir())
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [f"clip-{n:03d}" for n in range(5)]
    assert [len(sample["mp4"]) for sample in samples] == list(range(5))


def test_a_set_grows_and_a_failure_leaves_finished_shards_alone(tmp_path: Path) -> None:
    write_set(tmp_path, 3)
    before = {p.name: p.read_bytes() for p in (tmp_path / "shards").iterdir()}
    with pytest.raises(RuntimeError, match="stop"), ShardWriter(tmp_path, 4000) as writer:
        writer.write("more", {"json": b"{}"})
        raise RuntimeError("stop")
    assert {p.name: p.read_bytes() for p in (tmp_path / "shards").iterdir()} == before
    with ShardWriter(tmp_path) as writer:
        writer.write("more", {"json": b"{}"})
    assert [row.key for row in read_index(tmp_path / INDEX)][-1] == "more"


def test_two_clips_of_one_key_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, 2)
    with pytest.raises(ValueError, match="clip-000 twice"), ShardWriter(tmp_path) as writer:
        writer.write("clip-000", {"json": b"{}"})


@pytest.mark.parametrize("name", ["../up.json", "nodot", "a/b.json", ".json"])
def test_foreign_members_are_refused(tmp_path: Path, name: str) -> None:
    shard = tmp_path / "000000.tar"
    write_tar(shard, [(name, b"x")])
    with pytest.raises(ValueError, match="member"):
        list(scan(shard))


def test_links_in_a_shard_are_refused(tmp_path: Path) -> None:
    shard = tmp_path / "000000.tar"
    with tarfile.open(shard, "w") as tar:
        entry = tarfile.TarInfo("clip.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry, io.BytesIO())
    with pytest.raises(ValueError, match="member"):
        list(scan(shard))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100])
def test_a_damaged_index_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / INDEX).write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as an index"):
        read_index(tmp_path / INDEX)


def test_a_cut_off_shard_is_named(tmp_path: Path) -> None:
    write_set(tmp_path, 3)
    row = read_index(tmp_path / INDEX)[-1]
    shard = tmp_path / "shards" / row.shard
    shard.write_bytes(shard.read_bytes()[: row.members["json"][0] + 5])
    with pytest.raises(ValueError, match=f"{row.shard} is cut off"):
        read_member(tmp_path / "shards", row, "json")


def test_the_index_can_be_made_again(tmp_path: Path) -> None:
    write_set(tmp_path, 4)
    before = read_index(tmp_path / INDEX)
    (tmp_path / INDEX).unlink()
    write_index(tmp_path / "shards", tmp_path / INDEX)
    assert read_index(tmp_path / INDEX) == before


def test_every_epoch_shows_every_clip_once() -> None:
    seen = [row for step in range(10) for row in rows_of_step(3, step, 5, 25)]
    assert sorted(seen[:25]) == sorted(seen[25:]) == list(range(25))
    assert seen[:25] != seen[25:]


@given(st.integers(0, 10**9), st.integers(0, 50), st.integers(1, 9), st.integers(1, 30))
def test_rows_are_a_function_of_seed_and_step(
    seed: int, step: int, batch: int, length: int
) -> None:
    rows = rows_of_step(seed, step, batch, length)
    assert rows == rows_of_step(seed, step, batch, length)
    assert len(rows) == batch and all(0 <= row < length for row in rows)


def test_damaged_clips_are_counted_and_replaced(caplog: pytest.LogCaptureFixture) -> None:
    def load(row: int) -> int:
        if row == 7:
            raise ValueError("row 7 is damaged")
        return row

    tolerant = Tolerance(load, 200, share=0.02)
    first = tolerant.load(7)
    assert first != 7 and tolerant.load(7) == first
    assert (tolerant.damaged, tolerant.drawn) == (2, 4)
    assert "row 7 is damaged" in caplog.text
    with pytest.raises(ValueError, match="3 of 5 clips are damaged.*row 7"):
        tolerant.load(7)


def test_a_set_that_is_damaged_through_and_through_stops() -> None:
    def load(row: int) -> int:
        raise OSError("gone")

    with pytest.raises(ValueError, match="clips"):
        Tolerance(load, 10, share=1.0).load(0)
