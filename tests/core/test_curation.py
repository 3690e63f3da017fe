"""Raw videos to clips: the fate of drawn videos, whose shots, sizes, moves and damage are known."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow.parquet
import pytest
from drawn_videos import (
    FPS,
    HEIGHT,
    WIDTH,
    claim_hours,
    damage,
    shot,
    texture,
    turn,
    write,
    write_audio,
)

from tora2.cli import main
from tora2.curation.candidate import Candidate, Entity, Step
from tora2.curation.config import chosen, load_settings, read_settings
from tora2.curation.engines.local import Local
from tora2.curation.journal import Journal
from tora2.curation.reading import Unreadable
from tora2.curation.run import curate
from tora2.curation.scanning import scan
from tora2.curation.sources import sources
from tora2.curation.stage import STAGES, Resources
from tora2.curation.stages import camera, motion, shots
from tora2.curation.work import Group, Item, Result, grouped, run_stage
from tora2.data.clipset import ClipSet
from tora2.data.record import ClipTrack

EARLY = ("decode", "shots", "resolution", "camera")
LOW = read_settings({"workers": 2, "resolution": {"short_side": 100}, "examples": 2})
FATES = {  # of the whole video where it has one shot: (dropped by, part of the reason)
    "pan.mp4": (None, ""),
    "still.mp4": (None, ""),
    "up.mp4": ("camera", "270 degrees"),
    "closer.mp4": ("camera", "zoom"),
    "further.mp4": ("camera", "zoom is 0.0"),
    "small.mp4": ("resolution", "96x64"),
    "short.mp4": ("shots", "0.25 s"),
    "turned.mp4": (None, ""),
    "hours.mp4": (None, ""),
    "damaged.mp4": ("decode", "damaged"),
    "cut.mkv": ("decode", "it ends after"),
    "sound.mp4": ("decode", "no video stream"),
    "empty.mp4": ("decode", "the file is empty"),
    "text.mp4": ("decode", "cannot be decoded"),
    "odd.mkv": (None, ""),
    "variable.mp4": (None, ""),
    "deep.mkv": (None, ""),
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind."""
    folder = tmp_path_factory.mktemp("videos")
    write(folder / "pan.mp4", shot(9, 14, (2, 0)))
    write(folder / "still.mp4", shot(4, 14, noise=3))
    write(folder / "up.mp4", shot(5, 14, (0, -2)))
    write(folder / "closer.mp4", shot(6, 14, zoom=1.02))
    write(folder / "further.mp4", shot(6, 14, zoom=0.98))
    write(folder / "small.mp4", shot(7, 12, (2, 0), size=(96, 64)))
    write(folder / "short.mp4", shot(7, 3, (2, 0)))
    turn(write(folder / "turned.mp4", shot(8, 14, (0, 2))))
    claim_hours(write(folder / "hours.mp4", shot(9, 14, (2, 0))), 10)
    damage(write(folder / "damaged.mp4", shot(10, 48, (2, 0))))
    cut = write(folder / "cut.mkv", shot(10, 48, (2, 0)))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    write_audio(folder / "sound.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video")
    write(folder / "odd.mkv", shot(11, 14, (2, 0), size=(193, 129)), pixels="yuv444p")
    ticks = [50 * time + (25 if time % 3 == 1 else 0) for time in range(14)]
    write(folder / "variable.mp4", shot(12, 14, (2, 0)), times=ticks)
    write(folder / "deep.mkv", shot(13, 14, (2, 0)), codec="ffv1", pixels="yuv420p10le")
    three = [*shot(1, 12, (2, 0)), *shot(2, 18, (-2, 0)), *shot(3, 10, (0, 3))]
    write(folder / "three.mp4", three)
    return folder


@pytest.fixture(scope="module")
def curated(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the engine local."""
    output = tmp_path_factory.mktemp("curated")
    curate(videos, output, LOW, stages=EARLY)
    return output


def rows(output: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(output / "clips.parquet").to_pylist()  # type: ignore[no-any-return]


def fates(output: Path) -> set[tuple[Any, ...]]:
    return {
        (Path(row["source"]).name, row["start"], row["end"], row["dropped_by"], row["reason"])
        for row in rows(output)
    }


class TestFates:
    @pytest.mark.parametrize("name", FATES)
    def test_of_a_video_with_one_shot(self, curated: Path, name: str) -> None:
        found = [row for row in rows(curated) if Path(row["source"]).name == name]
        dropped_by, reason = FATES[name]
        assert [row["dropped_by"] for row in found] == [dropped_by]
        assert found[0]["kept"] is (dropped_by is None)
        assert reason in (found[0]["reason"] or "")

    def test_shots_are_cut_where_they_change(self, curated: Path) -> None:
        found = [row for row in rows(curated) if Path(row["source"]).name == "three.mp4"]
        times = [(round(row["start"] * FPS), round(row["end"] * FPS)) for row in found]
        assert times == [(0, 12), (12, 30), (30, 40)]
        assert [row["dropped_by"] for row in found] == [None, None, "camera"]

    def test_what_was_measured(self, curated: Path) -> None:
        by_name = {Path(row["source"]).name: row for row in rows(curated)}
        turned, odd = by_name["turned.mp4"], by_name["odd.mkv"]
        assert (turned["width"], turned["height"]) == (HEIGHT, WIDTH)
        assert (odd["width"], odd["height"]) == (193, 129)
        assert by_name["variable.mp4"]["variable_rate"] == 1
        assert by_name["hours.mp4"]["end"] == pytest.approx(14 / FPS)
        assert by_name["empty.mp4"]["camera_zoom"] is None

    def test_the_funnel(self, curated: Path) -> None:
        funnel = json.loads((curated / "funnel.json").read_text())
        counts = {name: (stage["in"], stage["out"]) for name, stage in funnel.items()}
        assert counts == {
            "decode": (18, 13),
            "shots": (13, 14),
            "resolution": (14, 13),
            "camera": (13, 9),
        }
        assert all(stage["seconds"] >= 0 for stage in funnel.values())

    def test_the_clips(self, curated: Path) -> None:
        clips = ClipSet(curated)
        kept = [row for row in rows(curated) if row["kept"]]
        assert {row.key for row in clips.rows} == {row["key"] for row in kept}
        for index in range(len(clips)):
            record = clips.record(index)
            assert tuple(clips.frames(index).shape) == (
                record.frames, record.height, record.width, 3
            )  # fmt: skip
            assert record.source is not None and record.width % 2 == record.height % 2 == 0
        assert "camera_angle" in clips.record(0).scores

    def test_frames_stand_as_they_are_shown(self, videos: Path, curated: Path) -> None:
        clips = ClipSet(curated)
        place = next(i for i, row in enumerate(clips.rows) if row.key.startswith("turned"))
        drawn = np.rot90(shot(8, 14, (0, 2))[0], -1)
        assert np.abs(clips.frames(place)[0].numpy().astype(int) - drawn).mean() < 6

    def test_the_report(self, curated: Path) -> None:
        report = json.loads((curated / "report.json").read_text())
        assert report["left_out"] == [name for name in STAGES if name not in EARLY]
        assert {Path(name).name for name in report["damaged"]} == {
            "damaged.mp4", "cut.mkv", "sound.mp4", "empty.mp4", "text.mp4"
        }  # fmt: skip
        page = (curated / "funnel.html").read_text()
        assert page.count("<figure>") > 10 and "expected" in page
        assert "src='http" not in page

    def test_the_engine_ray_gives_the_same(
        self, videos: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("ray")
        monkeypatch.setenv("RAY_worker_niceness", "0")  # beside other work they would starve
        names = ("three.mp4", "up.mp4", "empty.mp4")
        (tmp_path / "videos").mkdir()
        for name in names:
            (tmp_path / "videos" / name).symlink_to(videos / name)
        curate(tmp_path / "videos", tmp_path / "out", LOW, "ray", EARLY)
        assert fates(tmp_path / "out") == {fate for fate in fates(curated) if fate[0] in names}
        assert len(ClipSet(tmp_path / "out")) == 2


class TestReading:
    def test_frames_are_those_that_were_drawn(self, tmp_path: Path) -> None:
        drawn = shot(3, 20, (2, 0))
        file = write(tmp_path / "a.mkv", drawn, codec="ffv1", pixels="bgr0")
        part = Candidate(str(file), 5 / FPS, 15 / FPS, WIDTH, HEIGHT, FPS)
        assert part.frame_count == 10
        assert np.array_equal(part.frames(), np.stack(drawn[5:15]))
        assert np.array_equal(
            part.frames([0, 3, 3, 9]), np.stack([drawn[i] for i in (5, 8, 8, 14)])
        )
        assert part.frames([2], 64).shape == (1, 64, 96, 3)

    def test_a_variable_rate_is_read_at_a_constant_one(self, tmp_path: Path) -> None:
        drawn = shot(3, 6, (9, 0))
        ticks = [0, 100, 150, 350, 400, 500]  # of 1/600 s
        file = write(tmp_path / "a.mkv", drawn, times=ticks, codec="ffv1", pixels="bgr0")
        part = Candidate(str(file), 0, 1, WIDTH, HEIGHT, 12)
        shown = [max(i for i, tick in enumerate(ticks) if tick <= 50 * t + 12) for t in range(12)]
        assert np.array_equal(part.frames(), np.stack([drawn[i] for i in shown]))

    def test_places_must_rise_and_lie_within(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.mp4", shot(3, 6))
        part = Candidate(str(file), 0, 0.5, WIDTH, HEIGHT, FPS)
        for places in ([3, 1], [6], [-1]):
            with pytest.raises(ValueError, match="the places are"):
                part.frames(places)

    def test_hdr_becomes_what_a_screen_shows(self, tmp_path: Path) -> None:
        grey = [np.full((64, 64, 3), 148, np.uint8)] * 6  # PQ's 58 %: white at 203 candela

        def pq(stream: av.VideoStream) -> None:
            stream.codec_context.color_trc = 16

        file = write(tmp_path / "a.mkv", grey, codec="ffv1", pixels="yuv420p10le", change=pq)
        found = scan(str(file))
        assert found.hdr
        part = Candidate(str(file), 0, 0.5, 64, 64, FPS)
        assert part.frames([0]).mean() > 215

    def test_masks_travel_as_run_lengths(self) -> None:
        import pickle

        mask = np.zeros((720, 1280), bool)
        mask[100:300, 50:500] = True
        track = ClipTrack(np.zeros((4, 2), np.float32), np.ones(4, bool))
        entity = Entity("e0", "dog", (2, 5), "object", {3: mask}, (track,))
        content = pickle.dumps(entity)
        there = pickle.loads(content)
        assert len(content) < 4000 and np.array_equal(there.masks[3], mask)
        assert (there.id, there.word, there.span) == ("e0", "dog", (2, 5))


class TestCamera:
    @pytest.mark.parametrize(
        ("move", "angle", "zoom"), [((3, 0), 0, 0.5), ((-3, 0), 180, 0.5), ((0, 3), 90, 0.5)]
    )
    def test_a_pan(self, move: tuple[int, int], angle: float, zoom: float) -> None:
        found = camera.describe(np.full((300, 300, 2), move, np.float32))
        assert found == camera.Pair(3, pytest.approx(angle, abs=0.1), zoom)

    def test_zooms_and_stills(self) -> None:
        rows, columns = np.mgrid[:300, :300] - 149.5
        outwards = np.stack([columns, rows], -1).astype(np.float32) / 100
        assert camera.describe(outwards).zoom == 1
        assert camera.describe(-outwards).zoom == 0
        same = texture(1)[..., 0]
        assert camera.compare(same, same) == camera.Pair(0, 0, 1)

    def test_the_paper_s_bounds(self) -> None:
        literal = camera.Config()
        kept = [a for a in range(361) if camera.refusal(camera.Pair(1, a, 0.5), literal) is None]
        assert kept == [*range(31), *range(150, 201), *range(330, 361)]
        zooms = [camera.refusal(camera.Pair(1, 0, z), literal) is None for z in (0.4, 0.6, 0.39, 1)]
        assert zooms == [True, True, False, False]

    def test_options_are_ours(self) -> None:
        still, fast = camera.Pair(0, 0, 1), camera.Pair(30, 0, 0.5)
        assert camera.refusal(still, camera.Config()) is not None
        assert camera.refusal(still, camera.Config(static=0.2)) is None
        assert camera.refusal(fast, camera.Config(fastest=20)) is not None

    def test_angles_around_zero(self) -> None:
        pairs = [camera.Pair(1, angle, 0.5) for angle in (350, 10, 355, 5)]
        assert camera.average(pairs, "median").angle in (350, 10, 355, 5)
        assert camera.average(pairs, "circular").angle % 360 == pytest.approx(0, abs=0.01)


class TestMotion:
    def test_ten_frames_of_a_pan(self, tmp_path: Path) -> None:
        """One component moves by ten pixels, the other does not: five on average."""
        noise = np.random.default_rng(0).normal(128, 60, (60, 120, 3)).clip(0, 255).astype(np.uint8)
        scene = cv2.resize(noise, (960, 480), interpolation=cv2.INTER_CUBIC)
        frames = [scene[:320, time : time + 576] for time in range(31)]
        part = Candidate(str(write(tmp_path / "a.mp4", frames)), 0, 31 / FPS, 576, 320, FPS)
        (found,) = motion.build(motion.Config(scale=1.0))(part)
        assert found.scores["flow"] == pytest.approx(5, rel=0.1) and found.kept

    def test_what_stands_still_is_dropped(self, tmp_path: Path) -> None:
        part = Candidate(str(write(tmp_path / "a.mp4", shot(2, 12))), 0, 1, WIDTH, HEIGHT, FPS)
        (found,) = motion.build(motion.Config())(part)
        assert found.dropped_by == "motion" and "expected more than 2" in str(found.reason)

    def test_raft_without_weights_says_where_they_are(self) -> None:
        (sentence,) = motion.build(motion.Config(estimator="raft", weights="/none.pth")).needs()
        assert "/none.pth" in sentence and "BSD" in sentence and "MB" in sentence


class TestShots:
    def test_long_shots_are_cut_on_frames(self) -> None:
        part = Candidate("a.mp4", 0, 10, fps=12)
        found = shots.shots(part, [4.0], 2.5)
        assert found[:2] == [(0.0, 2.0), (2.0, 4.0)] and found[-1][1] == 10
        assert all(end - start <= 2.5 + 1 / 12 for start, end in found)
        assert sum(round((end - start) * 12) for start, end in found) == 120

    def test_transnet_without_its_file_says_where_it_is(self) -> None:
        absent = shots.build(shots.Config(detector="transnetv2")).needs()
        assert any("TransNetV2" in sentence and "MIT" in sentence for sentence in absent)


@dataclass(frozen=True)
class Nothing:
    """A stage that does what a test says."""

    name: str
    act: Any
    resources: Resources = Resources()

    def needs(self) -> tuple[str, ...]:
        return ()

    def open(self) -> None:
        pass

    def __call__(self, candidate: Candidate) -> Iterable[Candidate]:
        return self.act(candidate)  # type: ignore[no-any-return]


def _split(candidate: Candidate) -> list[Candidate]:
    return [replace(candidate, start=float(n), end=n + 1.0) for n in range(3)]


class TestWork:
    def test_steps_come_to_whole_numbers(self) -> None:
        one = Candidate("a.mp4")
        (one,) = run_stage(Nothing("decode", lambda c: [c]), one)
        parts = run_stage(Nothing("shots", _split), one)
        assert sum(part.steps[0].into for part in parts) == pytest.approx(1)
        assert [part.steps[1].out for part in parts] == [1, 1, 1]

    def test_what_a_stage_raises_is_the_reason(self) -> None:
        def fail(error: Exception) -> Any:
            def act(candidate: Candidate) -> Any:
                raise error

            return run_stage(Nothing("camera", act), Candidate("a.mp4"))[0].reason

        assert fail(Unreadable("it is broken")) == "it is broken"
        assert fail(FileNotFoundError(2, "No such file")) == "no such file"
        assert str(fail(TypeError("odd"))).startswith("failed: TypeError")
        with pytest.raises(OSError, match="full"):
            fail(OSError(errno.ENOSPC, "full"))

    def test_neighbours_share_a_worker_but_not_after_shots(self) -> None:
        big = Resources(gpus=1.0)
        names = ("decode", "shots", "resolution", "motion", "camera")
        stages = [Nothing(name, None) for name in names] + [Nothing("masks", None, big)]
        assert [group.name for group in grouped(stages)] == [
            "decode+shots", "resolution+motion+camera", "masks"
        ]  # fmt: skip


class TestLocalEngine:
    def run(self, groups: list[Group], sources: Iterable[str]) -> list[Result]:
        results: list[Result] = []
        items = [Item(name, Candidate(name)) for name in sources]
        Local(2).run(items, groups, results.append)
        return results

    def test_a_worker_that_dies_is_replaced(self, tmp_path: Path) -> None:
        def act(candidate: Candidate) -> Any:
            mark = tmp_path / "died"
            if candidate.source == "b" and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return [candidate.drop("camera", "seen")]

        results = self.run([Group((Nothing("camera", act),), Resources())], "abc")
        assert sorted((r.origin, r.candidate.reason) for r in results) == [
            ("a", "seen"), ("b", "seen"), ("c", "seen")
        ]  # fmt: skip

    def test_a_clip_that_kills_its_workers_is_named(self) -> None:
        def act(candidate: Candidate) -> Any:
            if candidate.source == "b":
                os.kill(os.getpid(), signal.SIGKILL)
            return [candidate.drop("camera", "seen")]

        first = Group((Nothing("decode", lambda c: [c]),), Resources())
        last = Group((Nothing("camera", act),), Resources(memory=1))
        results = {r.origin: r.candidate for r in self.run([first, last], "abc")}
        assert results["b"].dropped_by == "camera"
        assert "3 workers died over it (signal 9)" in str(results["b"].reason)
        assert [step.stage for step in results["b"].steps] == ["decode", "camera"]
        assert results["a"].reason == results["c"].reason == "seen"

    def test_a_full_disk_ends_the_work_in_words(self) -> None:
        def act(candidate: Candidate) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(OSError, match="No space"):
            self.run([Group((Nothing("camera", act),), Resources())], "abc")
        assert not multiprocessing.active_children()


def result(name: str, part: int, of: int, members: int = 2) -> Result:
    one = Candidate(f"/{name}.mp4", part, part + 1, 64, 64, 8.0)
    steps = (Step("decode", 0.1, 1 / of, 1 / of),)
    files = {f"{n}.png": bytes([n]) * 700 for n in range(members)}
    return Result(Candidate(f"/{name}.mp4").key, replace(one, steps=steps), files)


class TestJournal:
    def test_half_a_line_and_half_a_clip_are_cut_off(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, {}, 1 << 20)
        for part in range(3):
            journal.add(result("a", part, 4))
        journal.close()
        size = (tmp_path / "work/open.tar").stat().st_size
        for name, torn in (("rows.jsonl", b'{"origin": "a'), ("open.tar", bytes(700))):
            with (tmp_path / "work" / name).open("ab") as file:
                file.write(torn)
        again = Journal(tmp_path, {}, 1 << 20)
        assert [row.start for row in again.rows()] == [0, 1, 2]
        assert (tmp_path / "work/open.tar").stat().st_size == size
        again.add(result("a", 3, 4))
        again.finish()
        again.close()
        assert len(ClipSet(tmp_path)) == 4

    def test_a_row_whose_clip_is_gone_is_forgotten(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, {}, 1 << 20)
        for part in range(3):
            journal.add(result("a", part, 3))
        journal.close()
        tar = tmp_path / "work/open.tar"
        os.truncate(tar, tar.stat().st_size - 600)  # as a power cut may leave it
        again = Journal(tmp_path, {}, 1 << 20)
        assert [row.start for row in again.rows()] == [0, 1]
        again.close()

    def test_a_killed_run_may_have_ended_a_shard(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, {}, 2000)
        journal.add(result("a", 0, 2))
        journal.close()
        assert [path.name for path in (tmp_path / "shards").iterdir()] == ["000000.tar"]
        again = Journal(tmp_path, {}, 2000)
        again.add(result("a", 1, 2))
        again.finish()
        assert len(ClipSet(tmp_path)) == 2
        again.close()

    def test_other_settings_are_another_run(self, tmp_path: Path) -> None:
        Journal(tmp_path, {"camera": {}}, 2000).close()
        with pytest.raises(ValueError, match="other stages or settings"):
            Journal(tmp_path, {"shots": {}}, 2000)

    def test_one_run_at_a_time(self, tmp_path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from tora2.curation.journal import Journal\n"
            "j = Journal(Path(sys.argv[1]), {}, 1); print('here', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        with subprocess.Popen(command, stdin=-1, stdout=-1) as other:
            assert other.stdout is not None and other.stdin is not None
            assert other.stdout.readline() == b"here\n"
            with pytest.raises(ValueError, match="another run is writing"):
                Journal(tmp_path, {}, 1)
            other.stdin.close()

    def test_a_full_disk_is_an_error_and_then_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import resource

        journal = Journal(tmp_path, {}, 1 << 20)
        journal.add(result("a", 0, 2))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (tmp_path / "work/open.tar").stat().st_size
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, before[1]))
            with pytest.raises(OSError):
                journal.add(result("a", 1, 2))
            journal.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        again = Journal(tmp_path, {}, 1 << 20)
        assert [row.start for row in again.rows()] == [0]
        again.add(result("a", 1, 2))
        again.finish()
        again.close()
        assert len(ClipSet(tmp_path)) == 2


class TestResuming:
    def test_again_does_nothing_twice(self, videos: Path, curated: Path) -> None:
        before = fates(curated), [p.stat().st_mtime_ns for p in (curated / "shards").iterdir()]
        curate(videos, curated, LOW, stages=EARLY)
        assert before == (
            fates(curated), [p.stat().st_mtime_ns for p in (curated / "shards").iterdir()]
        )  # fmt: skip

    def test_a_killed_driver_goes_on(self, videos: Path, curated: Path, tmp_path: Path) -> None:
        config = tmp_path / "c.yaml"
        config.write_text("resolution: {short_side: 100}\nworkers: 2\nexamples: 2\n")
        output = tmp_path / "out"
        command = [
            sys.executable, "-m", "tora2", "curate", str(videos), "--output", str(output),
            "--config", str(config), "--stages", ",".join(EARLY),
        ]  # fmt: skip
        rows_file = output / "work/rows.jsonl"
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and driver.poll() is None:
                if rows_file.exists() and rows_file.read_bytes().count(b"\n") >= 6:
                    break
                time.sleep(0.02)
            driver.kill()
        assert not (output / "clips.parquet").exists()
        done = [json.loads(line) for line in rows_file.read_bytes().splitlines(True)[1:]
                if line.endswith(b"\n")]  # fmt: skip
        assert main(command[3:]) == 0
        assert fates(output) == fates(curated)
        assert len(rows(output)) == len(rows(curated))
        after = [json.loads(line) for line in rows_file.read_bytes().splitlines()[1:]]
        assert after[: len(done)] == done


class TestCommand:
    def test_what_is_absent_is_said_at_the_start(
        self, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = tmp_path / "c.yaml"
        config.write_text("motion: {estimator: raft}\n")
        arguments = [str(videos), "--output", str(tmp_path / "out"), "--config", str(config)]
        assert main(["curate", *arguments, "--stages", "decode,motion"]) == 2
        said = capsys.readouterr().err
        assert "motion needs RAFT" in said and "--stages" in said
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--stages", "decode,cut"], "'cut'"),
            (["--stages", "decode,decode"], "once"),
            (["--workers", "0"], "--workers"),
            (["--config", "/no/such.yaml"], "does not exist"),
        ],
    )
    def test_bad_arguments(
        self, arguments: list[str], words: str, videos: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        assert main(["curate", str(videos), "--output", str(tmp_path / "o"), *arguments]) == 2
        assert words in capsys.readouterr().err.splitlines()[-1]

    def test_stages_run_in_their_order(self) -> None:
        assert chosen("camera, decode") == ["decode", "camera"]
        assert chosen(None) == list(STAGES)

    def test_settings_refuse_what_they_do_not_know(self, tmp_path: Path) -> None:
        file = tmp_path / "c.yaml"
        for text, words in (
            ("kamera: {}", "'kamera'"), ("camera: {zom: 1}", "camera.zom"),
            ("resolution: {short_side: 0}", "from 1"), ("[1]", "a mapping"),
        ):  # fmt: skip
            file.write_text(text)
            with pytest.raises(ValueError, match=words):
                load_settings(file)

    def test_the_paper_s_settings_are_the_default(self) -> None:
        settings = load_settings(Path(__file__).parents[2] / "configs/curation.yaml")
        assert settings.asked(STAGES) == load_settings(None).asked(STAGES)
        assert settings.config("resolution").short_side == 720
        assert settings.config("motion").above == 2


class TestSources:
    def test_a_folder_with_captions(self, tmp_path: Path) -> None:
        for name in ("b.mp4", "a/c.mkv", "a/.hidden.mp4", "notes.md"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "b.txt").write_text("a dog\nruns\n")
        found = sources(tmp_path)
        assert [(Path(one.source).name, one.caption) for one in found] == [
            ("b.mp4", "a dog runs"), ("c.mkv", None)
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("l.csv", 'path,caption,start,end\nb.mp4,"a dog, a cat",1,2.5\nc.mp4,,,\n'),
            ("l.jsonl", '{"file":"b.mp4","caption":"a dog, a cat","start":1,"end":2.5}\n'
             '\n{"video":"c.mp4"}\n'),
        ],
    )  # fmt: skip
    def test_a_list(self, tmp_path: Path, name: str, text: str) -> None:
        (tmp_path / name).write_text(text)
        one, other = sources(tmp_path / name)
        assert (one.caption, one.start, one.end) == ("a dog, a cat", 1, 2.5)
        assert Path(one.source) == tmp_path / "b.mp4"
        assert (other.caption, other.start, other.end) == (None, 0, 0)

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("l.jsonl", "{", "line 1 is not JSON"),
            ("l.jsonl", "[1]", "line 1"),
            ("l.csv", "name\nb.mp4\n", "the file in"),
            ("l.csv", "file,start,end\nb.mp4,3,2\n", "more seconds"),
            ("l.csv", "file,start\nb.mp4,soon\n", "seconds"),
            ("l.txt", "\n", "holds no video"),
        ],
    )
    def test_a_malformed_list(self, tmp_path: Path, name: str, text: str, words: str) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=words):
            sources(tmp_path / name)
