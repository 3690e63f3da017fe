"""Runs that go wrong: two in one folder, a full disk, damaged files, killed processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_training import SMALL_TRAINING

from tora2.cli import main
from tora2.training.folder import held, run_folder
from tora2.training.journal import Journal
from tora2.training.recipes.tiny import run

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and resource limits")

Tensors = dict[str, torch.Tensor]


def write(folder: Path, **changes: str) -> Path:
    text = SMALL_TRAINING.format(output=folder / "run")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "c.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run(write(folder))
    return folder / "run"


@pytest.fixture
def again(finished: Path, tmp_path: Path) -> Path:
    """The configuration of a copy of a finished run."""
    path = write(tmp_path)
    shutil.copytree(finished, tmp_path / "run")
    record = tmp_path / "run" / "config.json"
    record.write_text(record.read_text().replace(str(finished), str(tmp_path / "run")))
    return path


def refused(capsys: pytest.CaptureFixture[str], path: Path, command: str = "train") -> str:
    capsys.readouterr()
    assert main([command, str(path)]) == 2
    _, _, sentence = capsys.readouterr().err.rpartition(f"tora2 {command}: ")
    assert sentence.count("\n") == 1 and len(sentence) < 500
    return sentence


def test_nothing_is_claimed_before_the_configuration_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for old, new, says in (
        ("feature_dim: 16", "dim: 64", "'adapter.dim' cannot be set; it is 64, which follows"),
        ("feature_dim: 16", "binder: glue", "'glue'"),
        ("feature_dim: 16", "speed: 1", "'adapter.speed' is unknown"),
        ("feature_dim: 16", "queries: [4]", "queries"),
        ("heads: 1", "heads: 0", "'transformer.heads' is 0"),
        ("layers: 2", "layers: 1000000", "'transformer.layers' is 1000000"),
        ("frames: 5", "frames: 6", "6 frames.*expected"),
        ("crop: 32", "crop: 64", "crop.*is 64; expected at most data.size"),
        ("picture: 32, dim", "picture: 48, dim", "'encoder.picture' is 48; expected 32"),
        ("dim: 16", "dim: 1", "encoder.dim is 1, expected an integer from 2"),
        ("width: 16", "width: 1000000", "autoencoder.width is 1000000"),
        ("workers: 0", "device: tpu", "device 'tpu'"),
    ):
        sentence = refused(capsys, write(tmp_path, **{old: new}))
        assert re.search(says, sentence), sentence
        assert not (tmp_path / "run").exists()


@POSIX
def test_two_runs_in_one_folder_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A killed process holds nothing: the folder is free as soon as it is gone."""
    path = write(tmp_path)
    script = f"""
        import time
        from tora2.training.folder import held
        with held(r"{tmp_path / "run"}"):
            print("held", flush=True)
            time.sleep(1000)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    assert "another run is working in" in refused(capsys, path)
    assert sorted(os.listdir(tmp_path / "run")) == ["run.lock"]
    process.kill()
    process.wait()
    with held(tmp_path / "run"):
        assert "another run is working in" in refused(capsys, path)


def test_a_folder_keeps_its_settings(tmp_path: Path) -> None:
    with run_folder(tmp_path / "a", {"x": (1, 2)}):
        pass
    with run_folder(tmp_path / "a", {"x": [1, 2]}) as folder:
        assert folder == tmp_path / "a"
    with pytest.raises(ValueError, match="another configuration"), run_folder(folder, {"x": 1}):
        pass


class _Slow(torch.utils.data.Dataset[int]):
    """Its second item takes for ever."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if index > 1:
            time.sleep(10_000)
        return os.getpid()


@POSIX
def test_workers_end_with_a_killed_parent() -> None:
    script = """
        import os, signal
        from test_training_runs import _Slow
        from tora2.data.workers import in_lists
        items = iter(in_lists(_Slow(), 1, workers=2))
        print(*next(items), *next(items), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(__file__).parent)))},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    workers = [int(word) for word in process.stdout.readline().split()]
    assert process.wait() == -signal.SIGKILL
    assert len(set(workers)) == 2
    deadline = time.monotonic() + 60
    while any(_runs(pid) for pid in workers):
        if time.monotonic() > deadline:
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"the workers {workers} outlived their parent")
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    if state.parent.parent.joinpath("self").exists():  # a process that nobody reaps has ended, too
        return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def rewritten(path: Path, change: Callable[[Tensors], Any]) -> None:
    if path.suffix == ".pt":
        tensors = torch.load(path, weights_only=True)
        change(tensors)
        torch.save(tensors, path)
        return
    with safe_open(path, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)


WEIGHT = "weights/transformer.patch_embed.proj.weight"
STATE = "checkpoints/step-000000004"


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        (STATE, lambda p: p.write_bytes(b""), "cannot be read"),
        (STATE, lambda p: p.write_bytes(p.read_bytes()[:-500]), "cannot be read"),
        (STATE, lambda p: rewritten(p, lambda s: s.pop(WEIGHT)), f"{WEIGHT} among"),
        (STATE, lambda p: rewritten(p, lambda s: s["step"].fill_(9)), "of step 9"),
        (
            STATE,
            lambda p: rewritten(p, lambda s: s.update({WEIGHT: torch.zeros(2)})),
            "cannot be read",
        ),
        ("pool.pt", lambda p: p.write_bytes(b"PK"), "cannot be read"),
        ("pool.pt", lambda p: rewritten(p, lambda s: s.pop("words")), "no clips of this version"),
        ("pool.pt", lambda p: rewritten(p, lambda s: s["words"].fill_(7)), "words are from 7 to 7"),
        (
            "pool.pt",
            lambda p: rewritten(p, lambda s: s.update(points=s["points"][:3])),
            r"points is torch.float32 \(3, 3, 5, 2\), expected torch.float32 \(8",
        ),
        ("log.jsonl", lambda p: p.write_text("{}\n"), "line 1 .* is '{}'; expected measures"),
        ("log.jsonl", lambda p: p.write_text("[" * 99_999 + "\n"), "line 1 of"),
        ("config.json", lambda p: p.write_text("{"), "config.json' is damaged"),
        ("vae/model.safetensors", lambda p: p.write_bytes(b""), "model.safetensors"),
    ],
)
def test_damaged_files_are_named(
    again: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[Path], Any],
    says: str,
) -> None:
    path = again.parent / "run" / name
    damage(next(path.glob("*.safetensors")) if name == STATE else path)
    sentence = refused(capsys, again)
    assert str(path) in sentence and re.search(says, sentence), sentence


def test_a_line_that_a_kill_cut_off_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    assert journal.read() == []
    journal.write(1, {"loss": 0.5})
    journal.write(2, {"loss": float("nan")})
    whole = journal.path.read_text()
    journal.path.write_text(whole + '{"step": 3, "lo')
    assert [row["step"] for row in journal.read()] == [1, 2]
    journal.cut(2)
    assert journal.path.read_text() == whole
    journal.cut(1)
    assert [row["step"] for row in journal.read()] == [1]


@pytest.mark.parametrize("command", ["train", "ablation"])
def test_a_missing_matplotlib_is_found_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = write(tmp_path)
    if command == "ablation":
        path = tmp_path / "a.yaml"
        path.write_text(f"{{base: c.yaml, output: {tmp_path / 'run'}, arms: {{a: {{}}}}}}")
    assert "pip install" in refused(capsys, path, command)
    assert not (tmp_path / "run").exists()


def test_an_unwritable_output_is_found_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where a folder must: even root cannot write there."""
    (tmp_path / "run").write_text("")
    assert "run" in refused(capsys, write(tmp_path))
    monkeypatch.setattr("tora2.pipeline.Tora2Pipeline.from_pretrained", None)
    path = tmp_path / "e.yaml"
    path.write_text(f"output: {tmp_path / 'none' / 'e.json'}")
    assert "cannot write" in refused(capsys, path, "evaluate")
    path.write_text(f"{{base: c.yaml, output: {tmp_path / 'run'}, arms: {{a: {{}}}}}}")
    assert "run" in refused(capsys, path, "ablation")


def test_an_arm_that_was_measured_is_read_and_not_built_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    path = tmp_path / "a.yaml"
    text = f"base: c.yaml\noutput: {tmp_path / 'arms'}\nsplits: [heldout]\nclips: 1\nsteps: 1\n"
    path.write_text(text + "arms: {a: {}}\n")
    assert main(["ablation", str(path)]) == 0
    table = (tmp_path / "arms" / "table.md").read_text()
    monkeypatch.setattr("tora2.training.ablation.train", None)
    assert main(["ablation", str(path)]) == 0
    assert (tmp_path / "arms" / "table.md").read_text() == table
    path.write_text(text + "arms: {a: {adapter: {binder: none}}}\n")
    assert "another configuration" in refused(capsys, path, "ablation")


def test_arms_side_by_side_give_the_table_of_arms_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def table(output: str, at_once: int) -> str:
        path = tmp_path / f"{output}.yaml"
        path.write_text(
            f"{{base: c.yaml, output: {tmp_path / output}, splits: [heldout], clips: 2, steps: 2, "
            f"at_once: {at_once}, changes: {{pool_from: {tmp_path / output}.pt, "
            f"autoencoder_from: {tmp_path / 'run' / 'vae'}}}, "
            "arms: {a: {}, b: {adapter: {binder: none}}, c: {adapter: {extractor: dino}}}}"
        )
        assert main(["ablation", str(path)]) == 0
        return (tmp_path / output / "table.md").read_text()

    run(write(tmp_path))
    assert table("together", 2) == table("alone", 1)
    (tmp_path / "together" / "b-0" / "measured.json").unlink()
    for weights in (tmp_path / "together" / "b-0" / "checkpoints").rglob("*.safetensors"):
        weights.write_bytes(b"")
    assert "b-0" in refused(capsys, tmp_path / "together.yaml", "ablation")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("arms: {}", "'arms' is empty"),
        ("arms: {../x: {}}", "arm '../x' is no name of a folder"),
        ("arms: {a: {adapter: {dim: 3}}}", "arm 'a': key 'adapter.dim'"),
        ("arms: {a: 3}", "arm 'a'.*expected a mapping"),
        ("arms: {a: {}}\nsplits: [test]", "split 'test'"),
        ("arms: {a: {}}\nseeds: [-1]", "'seeds' is -1"),
        ("arms: [a]", "'arms' is .*expected a mapping"),
    ],
)
def test_every_arm_is_looked_at_before_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    write(tmp_path)
    path = tmp_path / "a.yaml"
    path.write_text(f"base: c.yaml\noutput: {tmp_path / 'run'}\n{text}\n")
    assert re.search(says, refused(capsys, path, "ablation"))
    assert not (tmp_path / "run").exists()


@POSIX
@pytest.mark.parametrize("limit", [500, 4096, 60_000])
def test_a_full_disk_is_one_sentence(
    again: Path, capsys: pytest.CaptureFixture[str], limit: int
) -> None:
    """A limit on the size of files stands for the full disk."""
    import resource

    if limit < 4096:
        shutil.rmtree(again.parent / "run")
    elif limit < 60_000:
        (again.parent / "run" / "pool.pt").unlink()
    sizes = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, sizes[1]))
    try:
        sentence = refused(capsys, again)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, sizes)
    name = {500: "config.json", 4096: "pool.pt", 60_000: STATE}[limit]
    assert str(again.parent / "run" / name) in sentence and "arge" in sentence, sentence
    assert not [p for p in (again.parent / "run").rglob(".*")]
