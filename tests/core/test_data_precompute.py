"""Precompute: shards that appear whole, are not made again, and hold the same bytes."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_sets import moving, sprites

from tora2.cli import main
from tora2.data.clipset import ClipSet, write_clip
from tora2.data.encoded import EncodedClips
from tora2.data.encoding import ClipEncoder
from tora2.data.flow import dense_flow, load_estimator
from tora2.data.precompute import PrecomputeConfig, load_precompute, precompute
from tora2.data.record import ClipRecord
from tora2.data.shards import ShardWriter, read_index
from tora2.data.window import choose_window
from tora2.encoders.pictures import cover
from tora2.video import write_video

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sprites(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "set"))


def config(folder: Path, **changes: object) -> PrecomputeConfig:
    return replace(PrecomputeConfig(clips=str(folder), augmentations=2, device="cpu"), **changes)


def content(folder: Path) -> dict[str, bytes]:
    cache = folder / "cache"
    return {str(p.relative_to(cache)): p.read_bytes() for p in cache.rglob("*") if p.is_file()}


def stopping(clips: int) -> Callable[[], None]:
    """Ctrl-C after so many clips."""
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if done == clips:
            raise KeyboardInterrupt

    return advance


def test_a_run_is_repeated_and_resumed_with_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    whole, broken = (Path(shutil.copytree(drawn, tmp_path / name)) for name in ("a", "b"))
    damage = precompute(config(whole))
    assert (damage.seen, damage.damaged) == (4, 0)
    first = content(whole)
    shards = sorted(path.name for path in (whole / "shards").iterdir())
    assert len(shards) > 1
    assert set(first) == {
        "config.json",
        "empty.safetensors",
        "index.parquet",
        *(f"shards/{name}" for name in shards),
    }
    with pytest.raises(KeyboardInterrupt):
        precompute(config(broken), stopping(3))
    assert sorted(p.name for p in (broken / "cache" / "shards").iterdir()) == shards[:1]
    assert len(EncodedClips(broken)) < 4
    made = (broken / "cache" / "shards" / shards[0]).stat().st_mtime_ns
    precompute(config(broken))
    assert content(broken) == first
    assert (broken / "cache" / "shards" / shards[0]).stat().st_mtime_ns == made
    precompute(config(whole))
    assert content(whole) == first


def test_ray_makes_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    alone, together = (Path(shutil.copytree(drawn, tmp_path / name)) for name in ("a", "b"))
    precompute(config(alone))
    damage = precompute(config(together, workers=2))
    assert (damage.seen, damage.damaged) == (4, 0)
    assert content(together) == content(alone)


def test_several_workers_without_ray_say_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="pip install"):
        precompute(config(folder, workers=2))
    assert not (folder / "cache").exists()


def test_another_configuration_is_refused_by_name(folder: Path) -> None:
    precompute(config(folder))
    before = content(folder)
    for changes, said in (
        ({"augmentations": 3}, "augmentations 2, expected 3"),
        ({"storage": "float32"}, "storage 'bfloat16'"),
        ({"height": 48}, "height 96, expected 48"),
    ):
        with pytest.raises(ValueError, match=said):
            precompute(config(folder, **changes))
    assert content(folder) == before


def test_a_shard_of_other_clips_is_refused(folder: Path) -> None:
    precompute(config(folder))
    shards = sorted((folder / "cache" / "shards").iterdir())
    shutil.copy(shards[1], shards[0])
    with pytest.raises(ValueError, match=f"{shards[0].name} holds tensors of train-"):
        precompute(config(folder))


def test_damaged_clips_are_counted_named_and_stop_at_a_share(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = moving(tmp_path / "one", 64, 64, 17, 8.0)
    clip = ClipSet(tmp_path / "one")
    frames = clip.frames(0)
    folder = tmp_path / "set"
    with ShardWriter(folder) as writer:
        write_clip(writer, "sound", record, frames, {})
        write_clip(writer, "torn", record, b"no video", {})
        write_clip(writer, "silent", record, None, {})
        short = replace(record, frames=9, entities=())
        write_clip(writer, "short", short, frames[:9], {})
    small = config(folder, height=64, width=64, tolerance=0.03)
    damage = precompute(small)
    assert (damage.seen, damage.damaged) == (4, 3)
    for said in ("torn", "silent has no mp4", "short: it has 9 frames, expected at least 17"):
        assert said in caplog.text
    encoded = EncodedClips(folder)
    assert encoded.keys == ("sound",) and "3 of 4 clips" in caplog.text
    assert precompute(small).damaged == 3  # also when nothing is left to do
    shutil.rmtree(folder / "cache")
    with pytest.raises(ValueError, match="2 of .* clips are damaged, expected at most 1 %.*silent"):
        precompute(replace(small, tolerance=0.01))
    assert read_index(folder / "cache" / "index.parquet") == []


def test_a_video_that_is_not_as_its_record_says_is_damaged(tmp_path: Path) -> None:
    record = moving(tmp_path / "one", 64, 64, 17, 8.0)
    frames = ClipSet(tmp_path / "one").frames(0)
    (tmp_path / "v").mkdir()
    for name, video, said in (
        ("early", frames[:9], "ends early"),
        ("wide", torch.cat([frames, frames], 2), "128x64, expected 64x64"),
    ):
        write_video(tmp_path / "v" / f"{name}.mp4", video, 8)
        with ShardWriter(tmp_path / name) as writer:
            write_clip(writer, name, record, (tmp_path / "v" / f"{name}.mp4").read_bytes(), {})
        with pytest.raises(ValueError, match=said):
            precompute(config(tmp_path / name, height=64, width=64, tolerance=0.0))


@pytest.mark.parametrize(
    ("frames", "fps", "window"),
    [
        (99, 30.0, (1, 2)),  # 360Motion: every fourth would be 8 a second but is too few
        (200, 30.0, (3, 4)),
        (49, 8.0, (0, 1)),
        (60, 8.0, (5, 1)),
        (500, 4.0, (225, 1)),
    ],
)
def test_windows(frames: int, fps: float, window: tuple[int, int]) -> None:
    chosen = choose_window(ClipRecord("", 8, 8, frames, fps), 49, 8.0)
    assert (chosen.start, chosen.stride) == window
    assert 0 <= chosen.start and chosen.stop <= frames
    assert abs(chosen.start - (frames - chosen.stop)) <= 1


def test_frames_of_a_window_are_decoded_alone(tmp_path: Path) -> None:
    """Also of a long clip no more frames are in memory than are encoded."""
    record = moving(tmp_path, 128, 64, 40, 8.0)
    encoder = ClipEncoder(config(tmp_path, frames=5, height=32, width=32))
    clips = ClipSet(tmp_path)
    window = choose_window(record, 5, 2.0)
    frames = encoder._frames(clips, 0, record, window)
    assert frames.shape == (5, 3, 32, 32)
    whole = clips.frames(0)[window.start : window.stop : window.stride]
    assert len(whole) == 5 and window.stride == 4
    # The middle 64 columns of 128, and half of the size: bicubic, antialiased.
    expected = torch.stack([cover(frame.permute(2, 0, 1), (32, 32)) for frame in whole])
    assert torch.equal(frames, expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clips: x\nworkers: 0", "workers"),
        ("clips: x\nstorage: int8", "storage"),
        ("clips: x\naugmentation: 4", "augmentation"),
        ("workers: 1", "clips"),
        ("clips: x\nencoders: {dino: a}", "encoders.dino"),
    ],
)
def test_malformed_configurations_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        load_precompute(path)


def test_the_example_is_read() -> None:
    assert load_precompute(ROOT / "configs" / "precompute.yaml").augmentations == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frames": 18}, "96x96 with 18 frames"),
        ({"height": 40}, "96x40"),
        ({"device": "abacus"}, "abacus"),
        ({"flow": "raft"}, "flow_weights"),
        ({"model": "absent"}, "absent"),
    ],
)
def test_what_cannot_be_encoded_is_refused_before_the_work(
    folder: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        precompute(config(folder, **changes))
    assert not (folder / "cache").exists()


def test_dense_flow(tmp_path: Path) -> None:
    """A picture that slides two pixels a frame is two pixels of flow, after a frame of none."""
    pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 12, 20))).float()
    wide = torch.nn.functional.interpolate(coarse, (96, 160), mode="bicubic").clamp(0, 255)
    frames = torch.cat([wide[..., 20 - 2 * t : 116 - 2 * t] for t in range(5)]).to(torch.uint8)
    flow = dense_flow(load_estimator("farneback"), frames)
    assert flow.shape == (5, 2, 96, 96) and not flow[0].any()
    middle = flow[1:, :, 24:72, 24:72]
    assert torch.allclose(middle.mean((0, 2, 3)), torch.tensor([2.0, 0.0]), atol=0.1)
    folder = sprites(tmp_path, 1)
    precompute(config(folder, flow="farneback"))
    batch = EncodedClips(folder).load(0)
    assert batch.flow_latents().shape == batch.latents().shape
    told = json.loads((folder / "cache" / "config.json").read_text())
    assert told["flow"] == "farneback"


def test_raft_takes_torchvisions_weights(tmp_path: Path) -> None:
    raft = pytest.importorskip("torchvision.models.optical_flow")
    torch.manual_seed(0)
    torch.save(raft.raft_large(weights=None).state_dict(), tmp_path / "raft.pth")
    estimator = load_estimator("raft", str(tmp_path / "raft.pth"))
    pair = torch.randint(0, 255, (2, 3, 128, 128), dtype=torch.uint8)
    assert estimator.estimate(*pair).shape == (2, 128, 128)
    with pytest.raises(ValueError, match="64x64"):
        estimator.estimate(*pair[..., :64, :64])
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="raft_large"):
        load_estimator("raft", str(tmp_path / "other.pth"))


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"clips: {folder}\ndevice: cpu\naugmentations: 1\n")
    for _ in range(2):
        assert main(["precompute", str(path)]) == 0
        assert "4 clips encoded, 0 damaged" in capsys.readouterr().out
    path.write_text(f"clips: {tmp_path / 'absent'}\n")
    assert main(["precompute", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tora2 precompute: ") and "absent" in err and err.count("\n") == 1
