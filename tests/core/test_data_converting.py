"""Sets written as ours, and the command that converts, indexes and shows them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_sets import moving, sprites
from PIL import Image

from tora2.cli import main
from tora2.data.clipset import ClipSet
from tora2.data.converters import Converted
from tora2.data.converters.spritebind import readers
from tora2.data.converting import Source, convert
from tora2.data.masks import decode_mask
from tora2.data.record import ClipEntity, ClipRecord
from tora2.data.shards import ShardWriter, read_index
from tora2.data.spritebind import SpriteBind, SpriteBindConfig
from tora2.data.summary import summarise
from tora2.encoders.pictures import on_white
from tora2.video import read_video, write_video


def test_spritebind_is_written_as_it_is_drawn(tmp_path: Path) -> None:
    folder = sprites(tmp_path, 5)
    clips, data = ClipSet(folder), SpriteBind(SpriteBindConfig(), 3, "train")
    assert len(clips) == 5
    for index in range(5):
        record, clip = clips.record(index), data[index]
        assert (record.caption, record.frames, record.width) == (clip.caption, 17, 96)
        assert [entity.word for entity in record.entities] == list(clip.words)
        spans = [entity.span for entity in record.entities]
        assert [record.caption[slice(*span)] for span in spans] == list(clip.words)  # type: ignore[misc]
        assert len(set(spans)) == len(spans)
        for row, entity in enumerate(record.entities):
            rows = (clip.tracks.entity == row).nonzero().flatten().tolist()
            assert len(entity.tracks) == len(rows)
            for track, place in zip(entity.tracks, rows, strict=True):
                assert np.allclose(track.points * 96, clip.tracks.points[place], atol=1e-4)
                assert np.array_equal(track.visible, clip.tracks.visible[place])
            for name, drawn in zip(entity.references, clip.pictures[row], strict=True):
                picture = clips.picture(index, name)
                assert picture.alpha is not None and torch.equal(on_white(picture), drawn)
        seen = np.zeros((17, 96, 96), bool)
        for entity in record.entities:
            for time, runs in entity.masks.items():
                seen[time] |= decode_mask(runs, (96, 96))
        region = clip.region.numpy()
        for time in (0, 8, 16):
            assert (seen[time] & ~region[time]).sum() == 0
            assert seen[time].sum() > 0.9 * region[time].sum()
        video = clips.frames(index).permute(0, 3, 1, 2)
        assert (video.float() - clip.frames.float()).abs().mean() < 8  # H.264 halves the colours


def test_the_same_clips_are_the_same_bytes_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    data = SpriteBind(SpriteBindConfig(), 0, "hard")

    def stopping(count: int) -> Iterator[Source]:
        for number, source in enumerate(readers(data, 4)):
            if number == count:
                raise KeyboardInterrupt
            yield source

    with pytest.raises(KeyboardInterrupt):
        convert(stopping(3), tmp_path)
    assert len(ClipSet(tmp_path)) == 3
    drawn = []

    def watched() -> Iterator[Source]:
        for key, read in readers(data, 4):
            yield key, lambda read=read, key=key: drawn.append(key) or read()  # type: ignore[misc]

    done = convert(watched(), tmp_path)
    assert (done.written, done.there, done.damaged) == (1, 3, 0)
    assert drawn == ["hard-0-00000003"]
    assert [row.key for row in ClipSet(tmp_path).rows] == [f"hard-0-{n:08d}" for n in range(4)]


def converted(key: str, **changes: object) -> Converted:
    record = ClipRecord("a cat", 32, 32, 5, 8.0, (ClipEntity("e0", "cat", (2, 5)),))
    video = torch.zeros(5, 32, 32, 3, dtype=torch.uint8)
    return Converted(**{"key": key, "record": record, "video": video, **changes})


def test_damaged_clips_are_skipped_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def torn() -> Converted:
        raise ValueError("take seven is torn")

    def missing() -> Converted:
        raise FileNotFoundError(2, "no such file", "video.mp4")

    clips: list[Source] = [
        (None, lambda: converted("a")),
        (None, torn),
        (None, lambda: converted("a")),
        (None, lambda: converted("b", video=torch.zeros(4, 32, 32, 3, dtype=torch.uint8))),
        (None, missing),
        (None, lambda: converted("c", video=None)),
    ]
    done = convert(clips, tmp_path / "set", tolerance=0.04)
    assert (done.written, done.there, done.damaged) == (2, 0, 4)
    for said in ("take seven is torn", "a occurs twice", "b has frames", "video.mp4"):
        assert said in caplog.text
    assert [row.key for row in ClipSet(tmp_path / "set").rows] == ["a", "c"]
    with pytest.raises(ValueError, match="4 of 5 clips are damaged.*video.mp4"):
        convert(clips, tmp_path / "other", tolerance=0.03)


def test_cut_outs_become_png_and_other_videos_mp4(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), "red").save(tmp_path / "cat.jpg")
    write_video(tmp_path / "v.mp4", torch.full((5, 32, 32, 3), 99, dtype=torch.uint8), 8)
    whole = (tmp_path / "v.mp4").read_bytes()
    (tmp_path / "v.mov").write_bytes(whole)
    entity = ClipEntity("e0", "cat", references=("e0.0",))
    record = ClipRecord("a cat", 32, 32, 5, 8.0, (entity,))
    shown = {"e0.0": tmp_path / "cat.jpg"}
    clips: list[Source] = [
        (None, lambda: Converted("a", record, tmp_path / "v.mp4", shown)),
        (None, lambda: Converted("b", record, tmp_path / "v.mov", shown)),
    ]
    assert convert(clips, tmp_path / "set").written == 2
    made = ClipSet(tmp_path / "set")
    assert made.picture(0, "e0.0").rgb.shape == (3, 10, 20)
    assert torch.equal(made.frames(0), read_video(tmp_path / "v.mp4")[0])
    assert (made.frames(1).float() - 99).abs().max() < 8


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in ("clips", *arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    arguments = ("convert", "spritebind", "--output", folder, "--clips", 3, "--seed", 1)
    status, out, _ = run(capsys, *arguments, "--split", "heldout")
    assert status == 0 and "3 clips written" in out
    before = read_index(folder / "index.parquet")
    (folder / "index.parquet").unlink()
    assert run(capsys, "show", folder)[0] == 2
    status, out, _ = run(capsys, "index", folder)
    assert (status, read_index(folder / "index.parquet")) == (0, before)
    status, out, _ = run(capsys, "show", folder, "--json")
    found = json.loads(out)
    records = [ClipSet(folder).record(index) for index in range(3)]
    assert status == 0 and found["clips"] == found["videos"] == 3 and found["damaged"] == {}
    assert found["entities"] == sum(len(record.entities) for record in records)
    assert sum(found["words"].values()) == found["entities"]
    assert found["sizes"] == {"96x96, 17 frames at 8": 3} and found["encoded"] == 0
    status, out, _ = run(capsys, "show", folder)
    assert status == 0 and "3 in 1 shards" in out and "damaged   0" in out
    key = before[1].key
    for name in ("o.mp4", "o.png"):
        status, out, _ = run(capsys, "show", folder, "--key", key, "--overlay", tmp_path / name)
        assert status == 0 and records[1].caption in out
    frames, fps = read_video(tmp_path / "o.mp4")
    plain = ClipSet(folder).frames(1)
    assert frames.shape == plain.shape and fps == 8
    assert (frames.float() - plain.float()).abs().max() > 60
    assert Image.open(tmp_path / "o.png").size == (5 * 100 - 4, 2 * 100 - 4)
    status, out, _ = run(capsys, "show", folder, "--key", key, "--json")
    assert status == 0 and json.loads(out)["caption"] == records[1].caption


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("convert", "spritebind", "/tmp", "--output", "x"), "expected none"),
        (("convert", "spritebind", "--output", "x", "--split", "all"), "'all'"),
        (("convert", "spritebind", "--output", "x", "--clips", "0"), "--clips is 0"),
        (("convert", "spritebind", "--output", "x", "--tolerance", "2"), "--tolerance is 2"),
        (("convert", "360motion", "--output", "x"), "360motion"),
        (("convert", "panda", "--output", "x"), "panda"),
        (("index", "absent"), "absent has no folder shards"),
        (("show", "absent"), "absent"),
        (("show", "set", "--key", "nobody"), "'nobody'"),
        (("show", "set", "--overlay", "o.mp4"), "--key"),
        (("show", "set", "--key", "clip", "--overlay", "o.gif"), "o.gif"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    moving(tmp_path / "set", 32, 32, 5, 8.0)
    try:
        status, out, err = run(capsys, *arguments)
    except SystemExit as end:
        status, out, err = int(str(end.code)), "", capsys.readouterr().err
    assert status == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("tora2 clips") and said in err
    assert not (tmp_path / "x" / "shards").exists() or not list((tmp_path / "x").glob("*/*"))


def test_what_is_damaged_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = moving(tmp_path / "set", 32, 32, 5, 8.0)
    assert record.frames == 5
    with ShardWriter(tmp_path / "set") as writer:
        writer.write("torn", {"json": b"{"})
        named = {"version": 1, "caption": "", "width": 8, "height": 8, "frames": 1, "fps": 8}
        entity = {"id": "e0", "word": "", "references": ["e0.0"]}
        writer.write("bare", {"json": json.dumps({**named, "entities": [entity]}).encode()})
    found = summarise(ClipSet(tmp_path / "set"))
    assert set(found.damaged) == {"torn", "bare"} and found.clips == 3
    assert "not JSON" in found.damaged["torn"] and "e0.0.png" in found.damaged["bare"]
    status, out, _ = run(capsys, "show", tmp_path / "set")
    assert status == 0 and "damaged   2" in out
