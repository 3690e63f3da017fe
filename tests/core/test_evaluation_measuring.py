"""Measured videos of drawn discs: near zero on the right paths, the right number on others."""

import json
import sys
from collections.abc import Callable
from pathlib import Path as File
from typing import Any

import discs
import numpy as np
import pytest
import torch
from PIL import Image

from tora2.cli import main
from tora2.evaluation.charts import Line, chart
from tora2.evaluation.fitting import fit, spans
from tora2.evaluation.following import Thing, at_places, follow, held
from tora2.evaluation.matching import Thing as Whole
from tora2.evaluation.measuring import measure_trajectories, stretched
from tora2.evaluation.summary import said
from tora2.evaluation.trackers import Followed, Query, load
from tora2.trajectory import TrajectoryDocument, parse, sample
from tora2.video import read_video, write_video

HEIGHT, WIDTH, FRAMES = 128, 160, 17
PATHS = [
    discs.straight((40, 30), (40, 95), FRAMES),
    discs.arc((110, 64), 32, FRAMES, 2.5),
]
Run = Callable[..., tuple[int, str, str]]


def keyed(path: discs.Path, name: str, entity: str | None, **more: object) -> dict[str, Any]:
    """A track that passes every point of a path at its frame."""
    points = [{"x": x / WIDTH, "y": y / HEIGHT, "frame": time} for time, (x, y) in enumerate(path)]
    return {"id": name, "entity": entity, "curve": "linear", "points": points, **more}


def document(*tracks: dict[str, Any], **more: object) -> dict[str, Any]:
    entities = [{"id": "a", "name": "ball"}, {"id": "b", "name": "coin"}]
    size = {"version": 1, "width": WIDTH, "height": HEIGHT, "frames": FRAMES}
    return {**size, "entities": entities, "tracks": list(tracks), **more}


def right() -> dict[str, Any]:
    return document(keyed(PATHS[0], "t1", "a"), keyed(PATHS[1], "t2", "b"))


class Known:
    """A tracker that knows the places, NaN and all."""

    name, licence = "known", "none"

    def __init__(self, *paths: discs.Path) -> None:
        self.paths = paths
        self.queries: list[Query] = []

    def follow(self, frames: torch.Tensor, queries: list[Query]) -> Followed:
        self.queries = list(queries)
        return Followed(torch.tensor(np.stack(self.paths)).float(), (9, 9))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> File:
    file = tmp_path_factory.mktemp("discs") / "discs.mp4"
    write_video(file, discs.video(PATHS, (HEIGHT, WIDTH)), 8)
    return file


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: File) -> Run:
    def call(command: str, *arguments: object) -> tuple[int, str, str]:
        texts = []
        for argument in arguments:
            if isinstance(argument, dict):
                path = tmp_path / "scene.json"
                path.write_text(json.dumps(argument))
                argument = path
            texts.append(str(argument))
        status = main([command, *texts])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def figures(run: Run, video: File, scene: object, *more: object) -> dict[str, Any]:
    status, out, err = run("measure", video, scene, "--json", *more)
    assert status == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def test_the_right_paths_measure_near_zero(run: Run, video: File) -> None:
    found = figures(run, video, right())
    assert found["trajectory_error"] < 0.7
    assert {name: part["tracks"] for name, part in found["entities"].items()} == {"a": 1, "b": 1}
    assert all(part["trajectory_error"] < 0.7 for part in found["entities"].values())
    assert found["seen"] == 1 and found["tracker"] == "lucas_kanade"
    assert found["resolution"] == found["tracker_resolution"] == {"width": WIDTH, "height": HEIGHT}


def test_a_path_that_leaves_the_thing_measures_how_far(run: Run, video: File) -> None:
    drift = np.linspace(0, 1, FRAMES)[:, None] * np.array([24.0, -10.0])
    scene = document(keyed(PATHS[0] + drift, "t1", "a"), keyed(PATHS[1], "t2", "b"))
    found = figures(run, video, scene)
    assert found["entities"]["a"]["trajectory_error"] == pytest.approx(17, abs=0.7)
    assert found["entities"]["a"]["euclidean"] == pytest.approx(13, abs=0.7)
    assert found["entities"]["b"]["trajectory_error"] < 0.7
    assert found["trajectory_error"] == pytest.approx(8.5, abs=0.7)


@pytest.mark.parametrize("shift", [(8.0, 0.0), (-6.0, 7.0)])
def test_a_thing_beside_its_path_measures_how_far(
    run: Run, video: File, shift: tuple[float, float]
) -> None:
    scene = document(keyed(PATHS[0] + shift, "t1", "a"), keyed(PATHS[1], "t2", "b"))
    found = figures(run, video, scene)
    expected = abs(shift[0]) + abs(shift[1])
    assert found["entities"]["a"]["trajectory_error"] == pytest.approx(expected, abs=1.5)
    assert found["entities"]["b"]["trajectory_error"] < 0.7
    assert {name: part["anchor"] for name, part in found["tracks"].items()} == {
        "t1": "thing",
        "t2": "path",
    }
    # As the paper asks: what is at the beginning of the path keeps to it.
    papers = figures(run, video, scene, "--anchor", "path")
    assert papers["entities"]["a"]["trajectory_error"] < 0.7
    several = document(keyed(PATHS[0] + shift, "t1", "a"), keyed(PATHS[0], "t2", "a"))
    assert figures(run, video, several)["entities"]["a"]["trajectory_error"] < 0.7


def test_a_late_entity_is_queried_when_it_appears(run: Run, video: File) -> None:
    late = keyed(PATHS[1][6:], "t2", "b", start=6)
    for time, point in enumerate(late["points"]):
        point["frame"] = 6 + time
    found = figures(run, video, document(late))
    assert found["entities"]["b"]["trajectory_error"] < 0.7
    assert found["entities"]["b"]["seen"] == 1


def test_other_sizes_and_lengths_are_stretched(run: Run, tmp_path: File) -> None:
    file = tmp_path / "large.mp4"
    paths = [path[::2] * 2 for path in PATHS]
    write_video(file, discs.video(paths, (2 * HEIGHT, 2 * WIDTH), 24), 4)
    found = figures(run, file, right())
    assert found["trajectory_error"] < 0.7
    assert (found["frames"], found["scene_frames"]) == (9, 17)
    status, out, _ = run("measure", file, right())
    assert status == 0
    assert "160x128 are stretched over 320x256 pixels" in out
    assert "17 frames are stretched over 9" in out
    assert "lucas_kanade (OpenCV, Apache-2.0) at 320x256" in out


def test_a_chart_of_nothing_says_so() -> None:
    pytest.importorskip("matplotlib")
    nothing = chart([Line("a", [float("nan")] * 9)], "frame", "pixels", "TrajError")
    axes = chart([Line("a", [0.0] * 9)], "frame", "pixels", "TrajError")
    middle = slice(170, 215), slice(300, 500)
    assert nothing[middle].min() < 0.3 and axes[middle].min() > 0.6


def test_stretching_keeps_fractions_of_frame_and_clip() -> None:
    tracks = sample(parse(document(keyed(PATHS[0], "t1", None, start=0))))
    wide = stretched(tracks, 33, (HEIGHT, 3 * WIDTH))
    torch.testing.assert_close(wide.points[:, ::2], tracks.points * torch.tensor([3.0, 1.0]))
    middle = (tracks.points[:, 3] + tracks.points[:, 4]) / 2
    torch.testing.assert_close(wide.points[:, 7], middle * torch.tensor([3.0, 1.0]))
    assert stretched(tracks, 1, (HEIGHT, WIDTH)).points.shape == (1, 1, 2)
    same = stretched(tracks, FRAMES, (HEIGHT, WIDTH))
    assert torch.equal(same.points, tracks.points) and torch.equal(same.visible, tracks.visible)


FRAMES_OF_GREY = torch.full((FRAMES, HEIGHT, WIDTH, 3), 99, dtype=torch.uint8)


def test_the_rules_of_the_mean() -> None:
    """Entities count once however many tracks they have; free tracks are entities of their own."""
    still = np.full((FRAMES, 2), 50.0)
    gone = still.copy()
    gone[8:] = np.nan
    tracks = [keyed(still, name, owner) for name, owner in (("t1", "a"), ("t2", "a"), ("t3", None))]
    tracker = Known(still + [3, -1], gone + [0, 8], still + [0, 1])
    report = measure_trajectories(FRAMES_OF_GREY, parse(document(*tracks)), tracker)
    assert report.tracks["t1"].trajectory_error == 4
    assert report.tracks["t2"].trajectory_error == 8
    own = (4 * 17 + 8 * 8) / 25
    assert report.entities["a"].trajectory_error == pytest.approx(own)
    assert report.entities["a"].seen == 25 / 34
    assert report.entities["b"].trajectory_error is None and report.entities["b"].tracks == 0
    assert report.overall.trajectory_error == pytest.approx((own + 1) / 2)
    assert report.overall.seen == 42 / 51


def test_what_is_off_the_frame_does_not_count_and_is_not_queried() -> None:
    path = discs.straight((-40, 64), (120, 64), FRAMES)
    outside = discs.straight((-40, 64), (-20, 64), FRAMES)
    tracker = Known(path)
    tracks = keyed(path, "t1", "a"), keyed(outside, "t2", "b")
    report = measure_trajectories(FRAMES_OF_GREY, parse(document(*tracks)), tracker)
    assert [(query.frame, query.x) for query in tracker.queries] == [(4, pytest.approx(0))]
    assert report.entities["a"].trajectory_error == pytest.approx(0, abs=1e-4)
    assert report.entities["a"].seen == 1
    assert report.entities["b"].trajectory_error is None
    assert "nowhere visible within the frame" in said(report.entities["b"])
    assert report.overall.trajectory_error == report.entities["a"].trajectory_error


def test_what_was_found_where_it_was_told_alone_is_not_measured() -> None:
    lost = np.full((FRAMES, 2), np.nan)
    lost[0] = 50
    still = parse(document(keyed(np.full((FRAMES, 2), 50.0), "t1", "a")))
    report = measure_trajectories(FRAMES_OF_GREY, still, Known(lost))
    assert report.overall.trajectory_error is None and report.overall.seen == 0


def test_nothing_to_follow_is_said_and_null(run: Run, tmp_path: File) -> None:
    file = tmp_path / "grey.mp4"
    write_video(file, FRAMES_OF_GREY, 8)
    found = figures(run, file, right())
    assert found["trajectory_error"] is None and found["entities"]["a"]["seen"] == 0
    _, out, _ = run("measure", file, right())
    assert "TrajError of ball (a): not measured, nothing could be followed" in out


def test_a_scene_names_its_entities_and_gives_their_pictures(
    run: Run, tmp_path: File, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = FRAMES_OF_GREY.clone()
    for time, (x, y) in enumerate(PATHS[0].round().astype(int)):
        frames[time, y - 6 : y + 6, x - 3 : x + 9] = torch.tensor([220, 30, 20]).byte()
    write_video(tmp_path / "red.mp4", frames, 8)
    Image.new("RGB", (32, 32), (220, 30, 20)).save(tmp_path / "red.png")
    scene = {
        "version": 1,
        "prompt": "a ball, a coin and a dog",
        "entities": [
            {"id": "a", "word": "ball", "images": ["red.png"]},
            {"id": "b", "word": "coin"},
            {"id": "c", "word": "dog"},
        ],
        "trajectories": right(),
    }
    found = figures(run, tmp_path / "red.mp4", scene, "--tracker", "colour")
    assert found["tracker"] == "colour"
    assert found["entities"]["a"]["trajectory_error"] == pytest.approx(3, abs=0.7)
    assert found["entities"]["b"]["trajectory_error"] is None
    assert found["entities"]["c"] == {
        "word": "dog",
        "trajectory_error": None,
        "euclidean": None,
        "seen": 0,
        "tracks": 0,
    }
    _, out, _ = run("measure", tmp_path / "red.mp4", scene)
    assert "TrajError of dog (c): not measured, it has no path" in out


def test_picture_and_chart(run: Run, video: File, tmp_path: File) -> None:
    picture, chart = tmp_path / "p.png", tmp_path / "c.png"
    figures(run, video, right(), "--picture", picture, "--chart", chart)
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (2 * 3 * HEIGHT + 4, 2 * 3 * WIDTH + 4, 3)
    ink = np.array([0xE4, 0x57, 0x2E])
    assert (np.abs(pixels - ink).sum(-1) < 30).sum() > 100
    with Image.open(chart) as image:
        assert image.format == "PNG" and image.width > 400


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--metrics", "trajectory,fvd"], "'fvd', expected one of trajectory"),
        (["--tracker", "tapir"], "'tapir', expected one of colour"),
        (["--picture", "out.jpg"], "out.jpg', expected a name that ends in .png"),
        (["--chart", "absent/c.png"], "cannot write absent/c.png"),
        (["--tracker-weights", "w.pth"], "takes no weights"),
        (["--metrics", "text"], "expected --clip FOLDER"),
        (["--metrics", "text", "--clip", "absent"], "has no prompt"),
        (["--metrics", "video", "--clip", "absent"], "expected --reference VIDEO"),
        (["--metrics", "video", "--clip", "absent", "--reference", "v"], "has no config.json"),
        (["--metrics", "text", "--picture", "p.png"], "expected --metrics trajectory"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    run: Run, video: File, more: list[str], words: str
) -> None:
    status, out, err = run("measure", video, right(), *more)
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1


def test_a_chart_without_matplotlib_is_refused_before_the_work(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: File
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = run("measure", tmp_path / "absent.mp4", right(), "--chart", tmp_path / "c.png")
    assert status == 2 and "needs matplotlib" in err


@pytest.mark.parametrize("command", ["measure", "track"])
def test_damaged_videos_are_one_sentence(
    run: Run, video: File, tmp_path: File, command: str
) -> None:
    last = (
        [right()] if command == "measure" else ["--points", "9,9", "--output", tmp_path / "o.json"]
    )
    whole = video.read_bytes()
    for content in (b"", b"no video", whole[: len(whole) // 2], whole[:200]):
        file = tmp_path / "damaged.mp4"
        file.write_bytes(content)
        status, out, err = run(command, file, *last)
        assert (status, out) == (2, "") and "damaged.mp4" in err and err.count("\n") == 1
    assert run(command, tmp_path / "absent.mp4", *last)[0] == 2
    assert not (tmp_path / "o.json").exists()


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (document(), "has no tracks"),
        ({"version": 1}, "no key 'width'"),
        ({"version": 1, "prompt": "x"}, "trajectories"),
        ([], "scene"),
    ],
)
def test_other_scenes_are_one_sentence(
    run: Run, video: File, tmp_path: File, scene: object, words: str
) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps(scene))
    status, out, err = run("measure", video, file)
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1


class OneHot:
    """Stands for CLIP: a caption and a frame are what they begin with."""

    def text(self, caption: str) -> torch.Tensor:
        return torch.tensor([1.0, 0.0])

    def frames(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[0.6, 0.8]]).expand(len(frames), 2)


def test_text_s_and_vid_s_are_metrics_of_the_command(
    run: Run, video: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tora2.evaluation.clip.Clip.from_folder", lambda folder: OneHot())
    scene = {"version": 1, "prompt": "a ball", "trajectories": document()}
    more = "--metrics", "text,video", "--clip", "folder", "--reference", video
    found = figures(run, video, scene, *more)
    assert found["text_similarity"] == pytest.approx(0.6)
    assert found["video_similarity"] == pytest.approx(1)
    assert "trajectory_error" not in found, "without the metric the scene needs no paths"
    assert "Text-S: 0.600" in run("measure", video, scene, *more)[1]


def tracked(path: File) -> TrajectoryDocument:
    return parse(path.read_text())


def test_track_writes_paths_that_can_be_edited(run: Run, video: File, tmp_path: File) -> None:
    output = tmp_path / "tracks.json"
    (x, y), (u, v) = PATHS[0][0], PATHS[1][10]
    status, out, err = run(
        "track", video, "--output", output, "--points", f"{x},{y}", f"{u},{v}@10"
    )
    assert status == 0, err
    assert "lucas_kanade" in out
    found = tracked(output)
    assert (found.width, found.height, found.frames, found.fps) == (WIDTH, HEIGHT, FRAMES, 8)
    assert [track.entity for track in found.tracks] == ["e1", "e2"]
    for points, path in zip(sample(found).points.numpy(), PATHS, strict=True):
        assert np.abs(points - path).max() < 2
    assert len(found.tracks[0].points) <= 4 and len(found.tracks[1].points) <= 8
    again = figures(run, video, json.loads(output.read_text()))
    assert again["trajectory_error"] < 1.5


def test_track_follows_a_mask(run: Run, video: File, tmp_path: File) -> None:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = np.hypot(xs - PATHS[1][0, 0], ys - PATHS[1][0, 1]) < 14
    mask = tmp_path / "coin.png"
    Image.fromarray((inside * 255).astype(np.uint8)).resize((WIDTH * 2, HEIGHT * 2)).save(mask)
    output = tmp_path / "tracks.json"
    status, out, err = run("track", video, "--output", output, "--masks", mask, "--json")
    assert status == 0, err
    assert json.loads(out)["tracks"] == 1
    found = tracked(output)
    assert found.entities[0].name == "coin"
    assert np.abs(sample(found).points[0].numpy() - PATHS[1]).max() < 2


@pytest.mark.parametrize("where", ["plain", "blotches"])
def test_track_is_not_misled_by_a_pattern_that_repeats(where: str) -> None:
    """Stripes that go by about their own width a frame, which the tracker takes for at rest."""
    ground = np.full((HEIGHT, WIDTH, 3), 110.0)
    if where == "blotches":
        ground = 60 + 120 * discs.smooth(0, HEIGHT, WIDTH)
    path = discs.straight((30, 45), (126, 80), FRAMES)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    frames = []
    for x, y in path:
        stripes = np.where((((xs - x) // 4) % 2)[..., None], [30.0, 60, 200], [220.0, 220, 240])
        cover = np.clip(16.5 - np.hypot(xs - x, ys - y), 0, 1)[..., None]
        frames.append((ground * (1 - cover) + stripes * cover).round().astype(np.uint8))
    video, tracker = torch.from_numpy(np.stack(frames)), load("lucas_kanade")
    alone = tracker.follow(video, [Query(0, 34, 42)]).points[0].numpy()
    assert not np.nanmax(np.abs(alone - path - [4, -3])) < 5, "the pattern misleads nobody"
    found = follow(video, 8, at_places(video, [(34.0, 42.0, 0)]), tracker)
    (track,) = found.tracks
    drawn = sample(found).points[0].numpy()
    assert (track.start, track.end) == (0, FRAMES - 1)
    assert np.abs(drawn - path - [4, -3]).max() < 4


def test_a_path_is_held_to_what_goes_with_it() -> None:
    own = discs.straight((10, 50), (90, 60), FRAMES)
    other = discs.straight((90, 10), (10, 90), FRAMES)
    mixed = other.copy()
    mixed[8], mixed[7] = own[8], np.nan  # two things that were taken for one
    thing = Thing("a", (Query(8, *own[8] + 3),), tuple(own[8] + 3))
    things = [Whole(16.0, points.astype(np.float32)) for points in (mixed, own)]
    path = own + 3
    np.testing.assert_allclose(held(path, thing, things), path)
    lost = path.copy()
    lost[11:] = np.nan
    np.testing.assert_allclose(held(lost, thing, things), path, atol=1e-4)
    slipped = path.copy()
    slipped[9:] += 8
    np.testing.assert_allclose(held(slipped, thing, things), path, atol=1e-4)
    np.testing.assert_allclose(held(slipped, thing, things[:1]), slipped)
    np.testing.assert_allclose(held(lost, thing, []), lost)


def test_track_says_when_a_thing_is_there(run: Run, tmp_path: File) -> None:
    """A length that no document has is rounded up; the track ends where the thing leaves."""
    path = discs.straight((60, 64), (230, 64), 15)
    write_video(tmp_path / "v.mp4", discs.video([path], (HEIGHT, WIDTH)), 8)
    output = tmp_path / "tracks.json"
    assert run("track", tmp_path / "v.mp4", "--points", "60,64", "--output", output)[0] == 0
    found = tracked(output)
    assert found.frames == 17 and found.tracks[0].start == 0
    assert 6 <= found.tracks[0].end <= 9


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "expected --points X,Y or --masks"),
        (["--points", "5;6"], "'5;6', expected x,y"),
        (["--points", "5,6@99"], "99, expected a frame from 0 to 16"),
        (["--points", "500,6"], "expected a point within 160x128"),
        (["--points", "5,6", "--tolerance", "nan"], "--tolerance is nan"),
        (["--masks", "black.png"], "mask black is empty"),
        (["--points", *["9,9"] * 65], "expected 1 to 64"),
    ],
)
def test_track_refuses_in_one_sentence(
    run: Run,
    video: File,
    tmp_path: File,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save("black.png")
    status, out, err = run("track", video, "--output", "o.json", *more)
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1
    assert not File("o.json").exists()


def test_track_says_that_nothing_stands_out(run: Run, tmp_path: File) -> None:
    write_video(tmp_path / "grey.mp4", FRAMES_OF_GREY, 8)
    arguments = "--points", "50,60", "--output", tmp_path / "o.json"
    status, _, err = run("track", tmp_path / "grey.mp4", *arguments)
    assert status == 2 and "cannot follow point 1 from 50,60 in frame 0" in err


def test_fitting_keeps_the_tolerance_with_few_points() -> None:
    path = discs.arc((100, 100), 60, 49, 5.0) + np.random.default_rng(0).normal(0, 0.2, (49, 2))
    track = fit(path, 4, (200, 200), 57, "t1")
    drawn = sample(TrajectoryDocument(200, 200, 57, (track,))).points[0, 4:53].numpy()
    assert np.linalg.norm(drawn - path, axis=1).max() <= 1.001
    assert len(track.points) <= 14 and (track.start, track.end) == (4, 52)
    assert len(fit(path * 0 + 7, 0, (200, 200), 49, "t1").points) == 1
    assert len(fit(path[:1], 3, (200, 200), 49, "t1").points) == 1
    jumps = np.array([[10.0, 10.0], [90.0, 90.0]] * 8)
    assert len(fit(jumps, 0, (200, 200), 17, "t1").points) == 16


def test_spans() -> None:
    assert spans(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 1), (3, 3), (6, 6)]
    assert spans(np.zeros(3, bool)) == []


def test_videos_are_read_as_they_were_drawn(video: File) -> None:
    frames, rate = read_video(video)
    assert frames.shape == (FRAMES, HEIGHT, WIDTH, 3) and rate == 8
