"""The command line: files appear whole or not at all, and bad input is one sentence and a 2."""

import errno
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tora2.cli import main
from tora2.cli.demo import SCENE
from tora2.data.spritebind import Sprite, paint, saturated
from tora2.models.autoencoder import PatchAutoencoder
from tora2.pipeline import Tora2Output, Tora2Pipeline
from tora2.scene import Scene, load_scene
from tora2.training.recipes.tiny import TrainConfig, TransformerShape, new_pipeline
from tora2.trajectory import parse, sample
from tora2.video import read_video

ROOT = Path(__file__).parents[2]
RED, BLUE = saturated(0.02), saturated(0.62)

SCENE_FILE: dict[str, Any] = {
    "version": 1,
    "prompt": "a circle and a star on grass",
    "entities": [
        {"id": "a", "word": "circle", "images": ["a.png"]},
        {"id": "b", "word": "star", "images": ["b.jpg"]},
    ],
    "trajectories": {
        "version": 1,
        "width": 96,
        "height": 96,
        "frames": 17,
        "entities": [{"id": "b"}, {"id": "a"}],
        "tracks": [
            {"id": "t1", "entity": "b", "points": [{"x": 0.7, "y": 0.7}, {"x": 0.3, "y": 0.7}]},
            {"id": "t2", "entity": "a", "points": [{"x": 0.3, "y": 0.3}, {"x": 0.7, "y": 0.3}]},
            {"id": "t3", "points": [{"x": 0.5, "y": 0.5}]},
        ],
    },
    "sampling": {"steps": 2, "guidance": 1.0},
}

Run = Callable[..., tuple[int, str, str]]


class Painter:
    """Stands for the pipeline: paints every entity at its track, `shift` pixels to the right."""

    def __init__(self, shift: float = 3.0) -> None:
        self.shift = shift
        self.scene: Scene | None = None

    def __call__(
        self, scene: Scene, callback: Callable[[int, int], None], image: object = None
    ) -> Tora2Output:
        self.scene = scene
        steps = scene.sampling.steps
        for step in range(steps):
            callback(step + 1, steps)
        document = scene.trajectories
        tracks = sample(document)
        frames = np.full((document.frames, document.height, document.width, 3), 0.5, np.float32)
        looks = {entity.id: rgb for entity, rgb in zip(scene.entities, (RED, BLUE), strict=True)}
        for track, points in zip(document.tracks, tracks.points.numpy(), strict=True):
            if track.entity in looks:
                sprite = Sprite("circle", looks[track.entity], "plain", 9.0)
                paint(frames, sprite, points + np.float32([self.shift, 0]))
        return Tora2Output(torch.from_numpy(frames), torch.zeros(1), tracks)


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    result = Painter()
    monkeypatch.setattr(Tora2Pipeline, "from_pretrained", lambda *args, **options: result)
    return result


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scene with a transparent PNG and an opaque JPEG, beside a picture it may not read."""
    result = tmp_path / "scene"
    result.mkdir()
    canvas = np.full((1, 64, 64, 3), 1, np.float32)
    cover = paint(canvas, Sprite("circle", RED, "plain", 24.0), np.array([[32.0, 32.0]]))
    rgba = np.concatenate([canvas, cover[..., None]], -1)[0]
    Image.fromarray((rgba * 255).astype(np.uint8)).save(result / "a.png")
    canvas = np.full((1, 64, 64, 3), 1, np.float32)
    paint(canvas, Sprite("star", BLUE, "plain", 24.0), np.array([[32.0, 32.0]]))
    Image.fromarray((canvas[0] * 255).astype(np.uint8)).save(result / "b.jpg", quality=95)
    (tmp_path / "outside.png").write_bytes((result / "a.png").read_bytes())
    write(result, SCENE_FILE)
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model folder of the bundled model's kind."""
    config = TrainConfig(output="", transformer=TransformerShape(heads=1, layers=1))
    target = tmp_path_factory.mktemp("model")
    new_pipeline(config, PatchAutoencoder(config.autoencoder)).save_pretrained(target)
    return target


def write(folder: Path, value: dict[str, Any]) -> Path:
    path = folder / "scene.json"
    path.write_text(json.dumps(value))
    return path


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(SCENE_FILE))
    place: Any = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return result


def is_one_sentence(text: str, command: str) -> bool:
    """Whether `text` is that, after the progress bars of the libraries or our own."""
    text = text[text.rfind("tora2 ") :] if "\r" in text else text
    return text.startswith(f"tora2 {command}: ") and text.count("\n") == 1 and text[-1] == "\n"


def test_generate_writes_the_video_and_the_overlay(
    run: Run, folder: Path, tmp_path: Path, painter: Painter
) -> None:
    status, out, err = run(
        "generate", folder / "scene.json", "--output", tmp_path / "out.mp4", "--overlay"
    )
    assert status == 0
    assert "sampling: 100%" in err
    frames, fps = read_video(tmp_path / "out.mp4")
    assert (tuple(frames.shape), fps) == ((17, 96, 96, 3), 8.0)
    overlay, _ = read_video(tmp_path / "out_overlay.mp4")
    assert tuple(overlay.shape) == (17, 480, 480, 3)
    assert "TrajError of the circle: 3.0" in out
    assert "TrajError of the star: 3.0" in out
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"out.mp4", "out_overlay.mp4", "scene", "outside.png"}


def test_generate_measures_only_what_has_a_colour_of_its_own(
    run: Run, folder: Path, tmp_path: Path, painter: Painter
) -> None:
    write(folder, changed(("entities", 1, "images"), []))
    _, out, _ = run("generate", folder / "scene.json", "--output", tmp_path / "out.mp4")
    assert "circle: 3.0" in out and "star: not measured" in out
    write(folder, changed(("entities", 1, "images"), ["a.png"]))
    _, out, _ = run("generate", folder / "scene.json", "--output", tmp_path / "out.mp4")
    assert out.count("not measured") == 2
    Image.new("L", (32, 32), 100).save(folder / "grey.png")
    write(folder, changed(("entities", 0, "images"), ["grey.png"]))
    _, out, _ = run("generate", folder / "scene.json", "--output", tmp_path / "out.mp4")
    assert "circle: not measured" in out and "star: 3.0" in out
    assert not (tmp_path / "out_overlay.mp4").exists()


def test_demo_writes_two_videos_and_takes_a_seed(
    run: Run, tmp_path: Path, painter: Painter
) -> None:
    status, out, _ = run("demo", "--output", tmp_path / "d.mp4", "--seed", 7)
    assert status == 0
    assert painter.scene is not None and painter.scene.sampling.seed == 7
    assert {path.name for path in tmp_path.iterdir()} == {"d.mp4", "d_overlay.mp4"}
    for word in ("circle", "star"):
        line = next(line for line in out.splitlines() if f"TrajError of the {word}" in line)
        assert math.isclose(float(line.split()[-2]), 3, abs_tol=0.5)


def test_the_demo_scene_is_as_promised() -> None:
    scene = load_scene(SCENE)
    assert [entity.word for entity in scene.entities] == ["circle", "star"]
    assert all(len(entity.images) == 1 for entity in scene.entities)
    assert [track.entity for track in scene.trajectories.tracks] == ["circle", "star"]


def test_generate_with_a_real_model(
    run: Run, folder: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seed decides the frames. Those of the file are not compared: where a float rounds to the
    other side, H.264 makes eight levels of it in half of the pixels."""
    output = tmp_path / "out.mp4"
    made: list[Tora2Output] = []
    generate = Tora2Pipeline.__call__

    def watched(*given: Any, **options: Any) -> Tora2Output:
        made.append(generate(*given, **options))
        return made[-1]

    monkeypatch.setattr(Tora2Pipeline, "__call__", watched)
    for seed in (0, 0, 1):
        scene = write(folder, changed(("sampling", "seed"), seed))
        status, out, _ = run("generate", scene, "--output", output, "--model", model)
        assert (status, out) == (0, f"{output}: 17 frames at 96x96\n")
        assert read_video(output)[0].shape == made[-1].frames.shape
    first, again, other = (one.frames for one in made)
    torch.testing.assert_close(again, first, rtol=0, atol=1e-5)
    assert (other - first).abs().mean() > 1e-3


TRACKS = ("trajectories", "tracks")
BAD_SCENES: list[tuple[tuple[str | int, ...], object, str]] = [
    (("entities", 0, "word"), "dragon", "word is 'dragon', expected a word of the prompt"),
    (("entities", 0, "images"), ["none.png"], "'none.png', expected an image file"),
    (("entities", 0, "images"), ["../outside.png"], "expected a path within the scene's folder"),
    (("entities", 0, "images"), ["corrupt.png"], "corrupt.png"),
    (("entities", 0, "images"), ["text.png"], "text.png"),
    ((*TRACKS, 0, "points", 0, "x"), math.nan, "tracks[0].points[0].x is nan"),
    ((*TRACKS, 0, "points", 0, "x"), -math.inf, "tracks[0].points[0].x is -inf"),
    (TRACKS, [SCENE_FILE["trajectories"]["tracks"][2]] * 10_000, "tracks has 10000 items"),
    (("version",), 2, "version is 2, expected 1"),
    (("trajectories", "version"), 7, "version is 7, expected at most 2"),
    (("trajectories", "frames"), 16, "frames is 16, expected 4k + 1"),
    (("trajectories", "frames"), 13, "makes 96x96 with 17 frames only"),
    (("trajectories", "width"), 97, "97 pixels, expected an even number"),
    (("sampling", "steps"), 0, "sampling.steps is 0"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_SCENES)
def test_bad_scenes_are_one_sentence(
    run: Run,
    folder: Path,
    tmp_path: Path,
    model: Path,
    path: tuple[str | int, ...],
    value: object,
    message: str,
) -> None:
    (folder / "corrupt.png").write_bytes((folder / "a.png").read_bytes()[:200])
    (folder / "text.png").write_text("no picture")
    scene = write(folder, changed(path, value))
    target = tmp_path / "out"
    target.mkdir()
    status, out, err = run(
        "generate", scene, "--output", target / "out.mp4", "--model", model, "--overlay"
    )
    assert (status, out) == (2, "")
    assert message in err
    assert is_one_sentence(err, "generate")
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\x00\xff", b"[1]", b'"scene"'])
def test_files_that_are_no_scene(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scene.json").write_bytes(content)
    output = tmp_path / "out.mp4"
    status, _, err = run("generate", tmp_path / "scene.json", "--output", output)
    assert status == 2 and is_one_sentence(err, "generate") and "scene.json" in err
    status, _, err = run("generate", tmp_path / "absent.json", "--output", output)
    assert status == 2 and is_one_sentence(err, "generate") and "absent.json" in err


def test_outputs_are_checked_before_the_work(
    run: Run, folder: Path, tmp_path: Path, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = folder / "scene.json"
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "out_overlay.mp4").mkdir()
    for output, message in [
        (tmp_path / "absent" / "out.mp4", "no such file or directory"),
        (tmp_path / "folder.mp4", "it is a folder"),
        (tmp_path / "out.avi", "expected a name that ends in .mp4"),
        (tmp_path / "out.mp4", "out_overlay.mp4: it is a folder"),
        (scene / "out.mp4", "not a directory"),
    ]:
        status, _, err = run("generate", scene, "--output", output, "--overlay")
        assert (status, painter.scene) == (2, None)
        assert is_one_sentence(err, "generate") and message in err

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # tests may run as root
    status, _, err = run("demo", "--output", tmp_path / "demo.mp4")
    assert (status, painter.scene) == (2, None)
    assert is_one_sentence(err, "demo") and "demo.mp4: permission denied" in err


def test_ctrl_c_leaves_nothing(
    run: Run, folder: Path, tmp_path: Path, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"old")
    before = set(tmp_path.iterdir())

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tora2.video._encode", interrupted)
    status, out, err = run("generate", folder / "scene.json", "--output", output)
    assert (status, out) == (130, "")
    assert err.endswith("tora2 generate: interrupted\n")
    assert output.read_bytes() == b"old" and set(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_in_the_middle_of_a_real_process(folder: Path, tmp_path: Path, model: Path) -> None:
    write(folder, changed(("sampling", "steps"), 1000))
    target = tmp_path / "out"
    target.mkdir()
    command = [sys.executable, "-m", "tora2", "generate", folder / "scene.json"]
    process = subprocess.Popen(
        [*command, "--output", target / "out.mp4", "--model", model],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    seen = ""
    while "1/1000" not in seen:
        seen += process.stderr.read(1)
        assert process.poll() is None, seen
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 130
    assert rest.endswith("tora2 generate: interrupted\n")
    assert seen.lstrip().startswith("sampling")  # the libraries' own talk is silenced
    assert "Traceback" not in rest
    assert list(target.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_full_disk_is_one_sentence(folder: Path, tmp_path: Path, model: Path) -> None:
    """A limit on the file size stands for the full disk."""
    target = tmp_path / "out"
    target.mkdir()
    script = f"""
        import resource, sys
        from tora2.cli import main
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        sys.exit(main(["generate", "scene.json", "--output", r"{target / "out.mp4"}",
                       "--model", r"{model}"]))
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert process.stderr.endswith(
        f"tora2 generate: cannot write {target}/out.mp4: file too large\n"
    )
    assert list(target.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("model_index.json", None),
        ("model_index.json", b"{}"),
        ("model_index.json", b'{"format": "tora2-pipeline", "version": 1}'),
        ("text_encoder", None),
        ("tokenizer", None),
        ("text_encoder/model.safetensors", b"{garbage"),
        ("transformer/diffusion_pytorch_model.safetensors", b"{garbage"),
        ("adapter.safetensors", b"{garbage"),
        ("vae/model.safetensors", b"{garbage"),
    ],
)
def test_damaged_model_folders_are_named(
    run: Run, folder: Path, tmp_path: Path, model: Path, part: str, content: bytes | None
) -> None:
    broken = tmp_path / "broken"
    for path in model.rglob("*"):
        if path.is_file() and not path.is_relative_to(model / part):
            copy = broken / path.relative_to(model)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
    if content is not None:
        (broken / part).write_bytes(content)
    status, _, err = run(
        "generate", folder / "scene.json", "--output", tmp_path / "o.mp4", "--model", broken
    )
    assert status == 2 and is_one_sentence(err, "generate")
    assert str(broken / part.split("/")[0]) in err


def test_a_pickle_with_code_is_refused_and_never_run(run: Run, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "run"),)

    torch.save({"module": Malicious()}, tmp_path / "zip.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps({"module": Malicious()}))
    for file in (tmp_path / "zip.pt", tmp_path / "bare.pt"):
        for command in (["inspect", file], ["convert", file, "--to", "comfy", "--output"]):
            extra = [tmp_path / "out.safetensors"] if command[0] == "convert" else []
            status, out, err = run(*command, *extra)
            assert (status, out) == (2, "")
            assert is_one_sentence(err, str(command[0])) and file.name in err
    assert {path.name for path in tmp_path.iterdir()} == {"zip.pt", "bare.pt"}


def test_trajectories_are_converted(run: Run, tmp_path: Path) -> None:
    document = SCENE_FILE["trajectories"]
    (tmp_path / "a.json").write_text(json.dumps(document))
    status, out, err = run("trajectories", "convert", tmp_path / "a.json", tmp_path / "a.csv")
    assert (status, out, err) == (0, f"{tmp_path / 'a.csv'}\n", "")
    size = ("--width", 96, "--height", 96)
    run("trajectories", "convert", tmp_path / "a.csv", tmp_path / "b.json", *size)
    back = sample(parse((tmp_path / "b.json").read_text()))
    torch.testing.assert_close(back.points, sample(parse(document)).points, atol=0.01, rtol=0)

    status, out, _ = run("trajectories", "convert", tmp_path / "a.json", tmp_path / "t.txt")
    files = [tmp_path / f"t-{index}.txt" for index in (1, 2, 3)]
    assert out.split() == [str(file) for file in files]
    run("trajectories", "convert", *files, tmp_path / "c.json", *size, "--frames", 17)
    assert len(parse((tmp_path / "c.json").read_text()).tracks) == 3
    run("trajectories", "convert", tmp_path / "a.json", tmp_path / "p.json", "--format", "points")
    assert isinstance(json.loads((tmp_path / "p.json").read_text()), list)


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("absent.json", "out.json", "absent.json: no such file"),
        ("bad.json", "out.json", "bad.json"),
        ("good.json", "out.xyz", "'.xyz', expected one of .json"),
        ("good.json", "absent/out.json", "out.json: no such file or directory"),
    ],
)
def test_bad_trajectory_files(
    run: Run, tmp_path: Path, source: str, output: str, message: str
) -> None:
    (tmp_path / "good.json").write_text(json.dumps(SCENE_FILE["trajectories"]))
    (tmp_path / "bad.json").write_text('{"version": 1, "tracks": NaN}')
    status, out, err = run("trajectories", "convert", tmp_path / source, tmp_path / output)
    assert (status, out) == (2, "")
    assert is_one_sentence(err, "trajectories") and message in err
    assert {path.name for path in tmp_path.iterdir()} == {"good.json", "bad.json"}


def test_the_doctor_looks_where_it_is_told(
    run: Run, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    (tmp_path / "bad.safetensors").write_bytes(b"<html>")
    status, out, err = run("doctor", tmp_path, model)
    assert (status, err) == (0, "")
    assert f"COMFYUI_PATH is {str(tmp_path)!r}, which is no ComfyUI" in out
    assert f"{tmp_path / 'bad.safetensors'} is a web page" in out
    assert "adapter.safetensors (" in out and "enables motion, appearance, binding" in out
    assert "bundled model, in ComfyUI: ready" in out and "zai-org/CogVideoX-5b" in out


def test_the_doctor_looks_into_comfyui_by_itself(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comfyui = tmp_path / "ComfyUI"
    (comfyui / "models").mkdir(parents=True)
    for name in ("main.py", "folder_paths.py", "extra_model_paths.yaml"):
        (comfyui / name).write_text("raise SystemExit")
    (comfyui / "comfyui_version.py").write_text('__version__ = "0.33.0"')
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui))
    status, out, _ = run("doctor", "--json")
    found = json.loads(out)
    assert status == 0
    assert [scan["folder"] for scan in found["scans"]] == [str(comfyui / "models")]
    assert f"ComfyUI 0.33.0 in {comfyui}" in found["system"]
    assert any("extra_model_paths.yaml names more folders" in line for line in found["system"])
    assert json.loads(run("doctor", comfyui, "--json")[1])["scans"] == found["scans"]

    monkeypatch.delenv("COMFYUI_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    _, out, _ = run("doctor")
    assert "no ComfyUI found" in out and "Weights in" not in out


def test_the_doctor_refuses_what_is_no_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("absent", "file"):
        status, out, err = run("doctor", tmp_path, tmp_path / name)
        assert (status, out) == (2, "")
        assert is_one_sentence(err, "doctor") and name in err


@pytest.mark.parametrize("command", ["train", "evaluate", "ablation"])
def test_bad_configurations(run: Run, tmp_path: Path, command: str) -> None:
    file = tmp_path / "c.yaml"
    for content in (None, "[1, 2", "speed: 3", "a: !!python/object/apply:os.getcwd []"):
        if content is not None:
            file.write_text(content)
        status, out, err = run(command, file)
        assert (status, out) == (2, "")
        assert is_one_sentence(err, command), err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["generate"],
        ["generate", "s.json"],
        ["demo", "--seed", "x"],
        ["convert", "f", "--to", "x", "--output", "y"],
        ["trajectories"],
    ],
)
def test_bad_arguments_exit_2_with_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range(run: Run, tmp_path: Path, painter: Painter, seed: int) -> None:
    status, _, err = run("demo", f"--seed={seed}", "--output", tmp_path / "d.mp4")
    assert status == 2 and "--seed is" in err and painter.scene is None


def test_the_module_runs() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tora2", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0
    for command in ("demo", "generate", "train", "inspect", "convert", "trajectories"):
        assert command in process.stdout
