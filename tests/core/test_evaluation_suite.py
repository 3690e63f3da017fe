"""A benchmark of finished videos: cases of three kinds, a table, a page, and going on."""

import json
from pathlib import Path
from typing import Any

import discs
import numpy as np
import pytest
from PIL import Image
from test_evaluation_measuring import FRAMES, HEIGHT, PATHS, WIDTH, document, keyed

from tora2.cli import main
from tora2.evaluation import suite
from tora2.evaluation.sources import dreamvideo_omni, msrvtt, scenes
from tora2.evaluation.suite_results import kinds
from tora2.video import write_video

SIZE = HEIGHT, WIDTH


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of a woman and a coin; A follows but for 10 px, B has one damaged video."""
    folder = tmp_path_factory.mktemp("suite")
    for name in ("scenes", "a", "b"):
        (folder / name).mkdir()
    paths = document(keyed(PATHS[0], "t1", "a"), keyed(PATHS[1], "t2", "b"))
    scene = {
        "version": 1,
        "prompt": "a woman and a coin <script>",
        "entities": [{"id": "a", "word": "woman"}, {"id": "b", "word": "coin"}],
        "trajectories": paths,
    }
    for name in ("one", "two"):
        (folder / "scenes" / f"{name}.json").write_text(json.dumps(scene))
    write_video(folder / "a" / "one.mp4", discs.video(PATHS, SIZE), 8)
    shifted = discs.video([PATHS[0] + [10, 0], PATHS[1]], SIZE)
    write_video(folder / "a" / "two.mp4", shifted, 8)
    (folder / "b" / "one.mp4").write_bytes(b"no video")
    return folder


def config(work: Path, **changes: Any) -> Path:
    values = {
        "cases": [{"kind": "scenes", "folder": str(work / "scenes")}],
        "systems": [
            {"name": "A", "videos": str(work / "a")},
            {"name": "B", "videos": str(work / "b")},
        ],
        "output": str(work / "out"),
        **changes,
    }
    file = work / "config.yaml"
    file.write_text(json.dumps(values))
    return file


def test_a_table_of_people_and_things(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(config(work))]) == 0
    printed = capsys.readouterr().out
    found = json.loads((work / "out" / "results.json").read_text())
    means = {split: part["trajectory"] for split, part in found["systems"]["A"].items()}
    assert means["people"] == {"mean": pytest.approx(5, abs=0.6), "cases": 2}
    assert means["things"] == {"mean": pytest.approx(0, abs=0.5), "cases": 2}
    assert means["all"]["mean"] == pytest.approx(2.5, abs=0.5)
    assert found["systems"]["B"]["all"]["trajectory"] == {"mean": None, "cases": 0}
    notes = {name: case["systems"]["B"]["notes"] for name, case in found["cases"].items()}
    assert "cannot be read" in notes["one"][0] and "two.mp4 is not there" in notes["two"][0]
    table = (work / "out" / "results.md").read_text()
    assert table in printed and "| B | all | – (0) |" in table and "lucas_kanade" in table
    page = (work / "out" / "index.html").read_text()
    assert page.count("<video src='../a/one.mp4'") == 1 and "<script" not in page


def test_it_goes_on_where_it_was(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.run_suite(config(work))
    measured: list[Path] = []
    whole = suite.measured

    def counted(scorer: Any, metrics: Any, video: Path, case: Any) -> Any:
        measured.append(video)
        return whole(scorer, metrics, video, case)

    monkeypatch.setattr(suite, "measured", counted)
    before = suite.run_suite(config(work))
    assert measured == []
    (work / "out" / "figures" / "A" / "two.json").unlink()
    assert suite.run_suite(config(work)) == before
    assert [video.name for video in measured] == ["two.mp4"]
    suite.run_suite(config(work, anchor="path"))
    assert len(measured) == 4, "another rule, other figures"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"systems": []}, "'systems' is empty"),
        ({"systems": [{"name": "A"}]}, "has neither videos and model"),
        ({"systems": [{"name": "../A", "videos": "a"}]}, "expected names of letters"),
        ({"systems": [{"name": "A", "videos": "absent"}]}, "absent is not there"),
        ({"metrics": ["fvd"]}, "'fvd'; expected one of trajectory"),
        ({"metrics": ["subject"]}, "needs Grounding DINO, SAM and DINO"),
        ({"cases": [{"kind": "scenes", "folder": "absent"}]}, "absent is not there"),
        ({"cases": [{"kind": "davis", "folder": "."}]}, "'davis'; expected one of scenes"),
        ({"weights": {"vgg": "x"}}, "'vgg'; expected one of clip"),
        ({"tracker": "tapir"}, "'tapir'; expected one of colour"),
        ({"more": 1}, "'more' is unknown"),
        ({"cases": [{"kind": "scenes", "folder": "x", "most": 0}]}, "expected"),
        ({"cases": [{"kind": "spritebind", "folder": "x", "split": "y"}]}, "split 'y' is unknown"),
    ],
)
def test_other_configurations_are_one_sentence(
    work: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    assert main(["evaluate", str(config(work, **changes))]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said


def test_a_model_makes_its_videos_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SpriteBind's cases: the bundled model, and the drawn videos that show how exact all is."""
    sprites = {"kind": "spritebind", "folder": str(tmp_path / "sprites"), "most": 2}
    changes = {
        "cases": [sprites],
        "systems": [
            {"name": "bundled", "model": "tiny", "steps": 1, "guidance": 1},
            {"name": "drawn", "videos": sprites["folder"]},
        ],
        "metrics": ["trajectory", "binding"],
        "tracker": "colour",
        "output": str(tmp_path / "out"),
    }
    file = config(tmp_path, **changes)
    whole = suite.write_video

    def ended(video: Path, *rest: Any) -> None:
        if video.stem.endswith("1"):
            raise KeyboardInterrupt
        whole(video, *rest)

    monkeypatch.setattr(suite, "write_video", ended)
    with pytest.raises(KeyboardInterrupt):
        suite.run_suite(file)
    made = tmp_path / "out" / "videos" / "bundled"
    assert [video.name for video in made.glob("*.mp4")] == ["heldout-1-0000.mp4"]
    first = (made / "heldout-1-0000.mp4").stat().st_mtime_ns
    monkeypatch.setattr(suite, "write_video", whole)
    assert main(["evaluate", str(file)]) == 0
    assert (made / "heldout-1-0000.mp4").stat().st_mtime_ns == first
    assert "by colour (Tora2, Apache-2.0) at 96x96" in capsys.readouterr().out
    from tora2.pipeline import Tora2Pipeline

    monkeypatch.delattr(Tora2Pipeline, "from_pretrained")
    found = suite.run_suite(file)  # nothing is left to be made
    drawn, bundled = (found["systems"][name]["things"] for name in ("drawn", "bundled"))
    assert drawn["trajectory"]["mean"] < 1 and drawn["binding"] == {
        "mean": pytest.approx(1, abs=0.02),
        "cases": 2,
    }
    assert bundled["trajectory"]["cases"] == 2 and 0 <= bundled["binding"]["mean"] <= 1
    assert "paths" not in found["cases"]["heldout-1-0000"]["systems"]["drawn"]["figures"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<svg viewBox='0 0 96 96'") == 4 and "class='measured'" in page


def test_prepared_folders_of_msrvtt_personalization(tmp_path: Path) -> None:
    clip = tmp_path / "video12"
    clip.mkdir()
    tags = {"subject": ["young woman"], "object": ["hot dog", "tv"], "subject_with_face": []}
    (clip / "word_tags.json").write_text(json.dumps({**tags, "background": ["street"]}))
    (clip / "summary_text.txt").write_text("a young woman eats a hot dog\n")
    for name in ("frame1.jpg", "frame2.jpg", "frame10.jpg"):
        Image.new("RGB", (32, 24)).save(clip / name)
    for name in ("young_woman.frame1", "young_woman.frame3", "hot_dog.frame1"):
        Image.new("RGBA", (9, 12), (200, 0, 0, 255)).save(clip / f"{name}.png")
    Image.new("RGBA", (9, 12)).save(clip / "young_woman.face.frame1.png")
    (case,) = msrvtt(tmp_path)
    assert (case.name, case.prompt) == ("video12", "a young woman eats a hot dog")
    assert [path.name for path in case.frames] == ["frame1.jpg", "frame2.jpg", "frame10.jpg"]
    woman, dog = case.subjects
    assert (woman.word, woman.kind, len(woman.images), len(woman.faces)) == (
        "young woman",
        "human",
        2,
        1,
    )
    assert (dog.word, dog.kind, case.document) == ("hot dog", "object", None)
    assert kinds(case) == {"e0": "people", "e1": "things"}


def test_cases_of_dreamvideo_omni(tmp_path: Path) -> None:
    case = tmp_path / "case1"
    case.mkdir()
    path = discs.arc((400, 240), 100, FRAMES)
    np.save(case / "tracks.npy", np.stack([path, path + 20], 1)[None].astype(np.float32))
    seen = np.ones((1, FRAMES, 2), bool)
    seen[:, :5, 1] = False
    np.save(case / "visibility.npy", seen)
    Image.new("RGBA", (9, 12), (200, 0, 0, 255)).save(case / "dog.png")
    metadata = {
        "caption": "a dog runs",
        "paths": {
            "tracks": {"tracks": "tracks.npy", "visibility": "visibility.npy"},
            "ref_imgs": [{"obj_id": 0, "path": "dog.png"}],
        },
        "tracks_obj_ids": [0, 0],
        "frames_info": [
            {"frame_idx": t, "bboxes": [{"bbox": [x - 60, y - 60, x + 60, y + 60], "obj_id": 0}]}
            for t, (x, y) in enumerate(path)
        ],
    }
    (case / "metadata.json").write_text(json.dumps(metadata))
    (found,) = dreamvideo_omni(tmp_path)
    assert found.prompt == "a dog runs" and found.document is not None
    from tora2.trajectory import sample

    tracks = sample(found.document)
    assert tracks.points.shape[1] == FRAMES
    assert np.abs(tracks.points[0].numpy() - path).max() < 1.5
    assert not tracks.visible[1, :5].any() and tracks.visible[1, 5:].all()


def test_scenes_know_people_by_their_words(work: Path) -> None:
    cases = list(scenes(work / "scenes"))
    assert [case.name for case in cases] == ["one", "two"]
    assert kinds(cases[0]) == {"a": "people", "b": "things"}
