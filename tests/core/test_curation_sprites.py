"""Raw videos to figures: drawn things are curated, encoded, trained on, and the model measured."""

import json
import shutil
from pathlib import Path

import discs
import drawn_videos
import numpy as np
import pytest
import recipe_data
import tiny_published
import yaml
from drawn_clips import ByColour

from tora2.cli import main
from tora2.curation import segmenters
from tora2.curation.moments import ENTITY, moments
from tora2.data.clipset import ClipSet
from tora2.data.masks import decode_mask
from tora2.precompute.run import PrecomputeConfig, precompute
from tora2.settings import read
from tora2.training.recipes.adapter import AdapterTraining, train

TINY = Path(__file__).parents[2] / "tora2" / "assets" / "tiny"
SIZE, FRAMES, FPS, RADIUS = (96, 128), 24, 12, 15.0
STAGES = "decode,shots,resolution,nouns,masks,tracks,references"
PATHS = {
    "one": [
        discs.straight((30, 30), (60, 66), FRAMES),
        discs.straight((100, 70), (90, 26), FRAMES),
    ],
    "two": [discs.arc((40, 48), 18, FRAMES), discs.straight((100, 26), (96, 70), FRAMES)],
}


def sprites(paths: list[discs.Path]) -> list[np.ndarray]:
    """A red and a blue disc, each with a texture, on grey."""
    frames = []
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    ground = 90 + 60 * discs.smooth(0, *SIZE).mean(-1, keepdims=True).repeat(3, -1)
    for time in range(FRAMES):
        frame = ground.copy()
        for channel, path in zip((0, 2), paths, strict=True):
            dx, dy = xs - path[time, 0], ys - path[time, 1]
            cover = np.clip(RADIUS + 0.5 - np.hypot(dx, dy), 0, 1)[..., None]
            look = discs.bilinear(discs.smooth(channel + 1, 64, 64, 6), dx + 32, dy + 32)
            colour = 90 * look.mean(-1, keepdims=True).repeat(3, -1)
            colour[..., channel] += 150
            frame = frame * (1 - cover) + colour * cover
        frames.append(frame.round().clip(0, 255).astype(np.uint8))
    return frames


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    videos = folder / "videos"
    videos.mkdir()
    for name, paths in PATHS.items():
        drawn_videos.write(videos / f"{name}.mp4", sprites(paths), FPS)
        (videos / f"{name}.txt").write_text("a red disc and a blue disc")
    drawn_videos.write(videos / "still.mp4", sprites(PATHS["one"]), FPS)
    (videos / "still.txt").write_text("two discs")
    segmenters.register("by_colour", ByColour)
    tagger = tiny_published.tagger(folder / "tagger")
    settings = {
        "resolution": {"short_side": 96},
        "nouns": {"extractor": "spacy", "model": str(tagger)},
        "masks": {"segmenter": "by_colour", "device": "cpu"},
        "tracks": {"tracker": "lucas_kanade"},
        "references": {"faces": "off", "smallest": 16},
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(settings))
    arguments = ["curate", str(videos), "--output", str(folder / "clips")]
    arguments += ["--config", str(folder / "c.yaml"), "--stages", STAGES]
    assert main(arguments) == 0
    return folder / "clips"


def test_masks_tracks_and_cut_outs_are_those_of_the_discs(curated: Path) -> None:
    clips = ClipSet(curated)
    assert len(clips) == 2, "the plural subject is dropped"
    for index in range(2):
        record = clips.record(index)
        assert record.source is not None
        paths = PATHS[Path(record.source.file).stem]
        assert (record.frames, record.width, record.height) == (FRAMES, SIZE[1], SIZE[0])
        assert [entity.word for entity in record.entities] == ["red disc", "blue disc"]
        for entity, path in zip(record.entities, paths, strict=True):
            start, end = entity.span or (0, 0)
            assert record.caption[start:end] == entity.word
            (track,) = entity.tracks
            away = np.hypot(*(track.points * (SIZE[1], SIZE[0]) - path).T)
            assert track.visible.all() and away.max() < 1
            assert set(entity.masks) == set(moments(FRAMES, ENTITY))
            for place, runs in entity.masks.items():
                ys, xs = np.nonzero(decode_mask(runs, SIZE))
                assert len(xs) == pytest.approx(np.pi * RADIUS**2, rel=0.15)
                assert (
                    np.hypot(xs.mean() + 0.5 - path[place, 0], ys.mean() + 0.5 - path[place, 1]) < 1
                )
            assert len(entity.references) == 3
            picture = clips.picture(index, entity.references[0])
            assert picture.alpha is not None
            assert abs(picture.rgb.shape[1] - 2 * RADIUS) <= 3
            channel = 0 if entity.word.startswith("red") else 2
            inside = picture.rgb[:, picture.alpha > 0.5].float().mean(-1)
            assert int(inside.argmax()) == channel


def test_an_adapter_is_trained_on_what_was_curated(curated: Path, tmp_path: Path) -> None:
    precompute(
        PrecomputeConfig(
            clips=str(curated),
            frames=recipe_data.FRAMES,
            height=recipe_data.SIZE,
            width=recipe_data.SIZE,
            device="cpu",
        )
    )
    (tmp_path / "clips").symlink_to(curated)
    recipe_data.write_transformer(tmp_path / "transformer")
    values = recipe_data.settings(
        tmp_path,
        tmp_path / "run",
        stages=[{"name": "all", "steps": 2}],
        validation={"every": 2, "clips": 1, "steps": 2, "guidance": 1.0, "tracker": "colour"},
    )
    train(read(AdapterTraining, values))
    assert (tmp_path / "run" / "adapter.safetensors").stat().st_size > 1000
    made = sorted(path.name[:11] for path in (tmp_path / "run" / "validation").iterdir())
    assert made == ["step-000000", "step-000002"], "videos that it makes of a curated clip"
    model = tmp_path / "model"
    shutil.copytree(TINY, model, ignore=shutil.ignore_patterns("transformer", "adapter*"))
    shutil.copytree(tmp_path / "transformer", model / "transformer")
    shutil.copy(tmp_path / "run" / "adapter.safetensors", model)
    config = {"model": str(model), "output": str(tmp_path / "figures.json")}
    config |= {"clips": 1, "seeds": [0], "steps": 1}
    (tmp_path / "evaluate.yaml").write_text(yaml.safe_dump(config))
    assert main(["evaluate", str(tmp_path / "evaluate.yaml")]) == 0
    assert "heldout" in json.loads((tmp_path / "figures.json").read_text())
