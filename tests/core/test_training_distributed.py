"""The loop in one process and in two: the same numbers, whatever happens in between."""

import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import distributed_run
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import Dataset

from tora2.data.workers import in_lists
from tora2.training.distributed import World
from tora2.training.loop import Loop, Terminated

SCRIPT = Path(distributed_run.__file__)
ROOT = SCRIPT.parents[2]
STEPS = 6


def run(output: Path, processes: int, steps: int = STEPS, kill: int = 0, **more: str) -> int:
    """Start `distributed_run.py`, alone or under torchrun; its exit status."""
    output.mkdir(exist_ok=True)
    command = [sys.executable]
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        command += [*launcher, str(processes)]
    command += [str(SCRIPT), str(output), str(steps), str(kill)]
    paths = os.pathsep.join([str(ROOT), str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}
    return subprocess.run(
        command, env=environment, cwd=output, capture_output=True, timeout=300
    ).returncode


def losses(output: Path) -> list[float]:
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows]


def checkpoints(output: Path) -> list[str]:
    return sorted(path.name for path in (output / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("one")
    assert run(output, 1) == 0
    return output


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("two")
    assert run(output, 2) == 0
    return output


def assert_close(first: Path, second: Path, tolerance: float) -> None:
    mine, theirs = (load_file(path / "weights.safetensors") for path in (first, second))
    assert mine.keys() == theirs.keys() and len(mine) > 100
    for name, value in mine.items():
        if tolerance == 0:
            assert torch.equal(value, theirs[name]), name
        else:
            torch.testing.assert_close(value, theirs[name], rtol=tolerance, atol=tolerance)


def test_two_processes_train_as_one(one: Path, two: Path) -> None:
    assert losses(one) == pytest.approx(losses(two), rel=1e-5) and len(losses(one)) == STEPS
    assert_close(one, two, 1e-5)
    assert checkpoints(two) == ["step-000000004", "step-000000006"]


def test_a_run_killed_within_a_checkpoint_ends_with_the_same_weights(
    two: Path, tmp_path: Path
) -> None:
    assert run(tmp_path, 2, kill=4) != 0
    assert checkpoints(tmp_path) == [".step-000000004", "step-000000002"]
    assert run(tmp_path, 2) == 0
    assert_close(two, tmp_path, 0)
    assert checkpoints(tmp_path) == ["step-000000004", "step-000000006"]


def test_sigterm_saves_and_another_number_of_processes_goes_on(one: Path, tmp_path: Path) -> None:
    assert run(tmp_path, 2, ENDS="3") == 0
    assert checkpoints(tmp_path) == ["step-000000002", "step-000000003"]
    assert run(tmp_path, 1) == 0
    assert losses(tmp_path) == pytest.approx(losses(one), rel=1e-5)
    assert_close(one, tmp_path, 1e-5)


def loop(folder: Path, **changes: object) -> Loop:
    return distributed_run.make_loop(World(torch.device("cpu")), folder, 4, **changes)


def test_accumulated_batches_make_the_gradient_of_one(tmp_path: Path) -> None:
    """Without negatives of other clips, two batches of two are one of four."""
    taken = []
    for name, many in (("whole", 1), ("halves", 2)):
        made = loop(tmp_path / name, accumulate=many)
        made._call.objective.settings = distributed_run.DenoisingSettings(contrastive_weight=0)
        made._call.objective._drawn = lambda clean, generator: (  # type: ignore[method-assign]
            torch.full((len(clean),), 500),
            clean.flip(-1),
        )
        made.train_step()
        taken.append({name: value.detach() for name, value in made.trained.items()})
    for name, value in taken[0].items():
        torch.testing.assert_close(value, taken[1][name], rtol=1e-4, atol=1e-5)


def test_a_step_without_a_finite_gradient_moves_nothing_and_is_counted(tmp_path: Path) -> None:
    made = loop(tmp_path, patience=3)
    made.train_step()
    kept = {name: value.detach().clone() for name, value in made.trained.items()}
    objective = made._call.objective
    made._call.objective = lambda batch, generator: (  # type: ignore[assignment]
        objective(batch, generator)[0] * math.nan,
        {},
    )
    assert made.train_step()["skipped"] == 1
    assert all(torch.equal(value, kept[name]) for name, value in made.trained.items())
    made.train_step()
    with pytest.raises(ValueError, match="not finite at step 3, 3 times"):
        made.train_step()


def test_skipped_steps_in_between_are_forgiven(tmp_path: Path) -> None:
    made = loop(tmp_path, patience=2)
    objective = made._call.objective
    for turn in range(6):
        factor = math.nan if turn % 2 else 1.0
        made._call.objective = lambda batch, generator, factor=factor: (  # type: ignore
            objective(batch, generator)[0] * factor,
            {},
        )
        measures = made.train_step()
    assert measures["skipped"] == 3


def test_only_trained_parts_move_and_are_saved(tmp_path: Path) -> None:
    made = loop(tmp_path)
    frozen = made.parts["transformer"].state_dict()
    kept = {name: value.clone() for name, value in frozen.items()}
    made.train_step()
    made.save()
    assert all(torch.equal(value, kept[name]) for name, value in frozen.items())
    names = made.checkpoints.names()
    assert names is not None and not any("transformer" in name for name in names)


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "config"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, damage: str) -> None:
    made = loop(tmp_path)
    made.train_step()
    made.save()
    [file] = (tmp_path / "checkpoints" / "step-000000001").glob("*.safetensors")
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[:-1000])
    elif damage == "other":
        file.write_bytes(content.replace(b"gate_p", b"gate_q"))
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()
    with pytest.raises(ValueError, match="step-000000001.*remove it") as caught:
        loop(tmp_path).resume()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_sigterm_is_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    made = loop(tmp_path)
    made.run()
    assert signal.getsignal(signal.SIGTERM) is before


class Numbers(Dataset[int]):
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> int:
        return index


def test_a_checkpoint_is_left_where_workers_are_ended_too(tmp_path: Path) -> None:
    made = loop(tmp_path)

    def end_all(step: int, measures: dict[str, float]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        subprocess.run(["kill", str(worker.pid)], check=True)  # from elsewhere, as a scheduler
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)

    before = set(multiprocessing.active_children())
    drawing = iter(in_lists(Numbers(), 1, workers=1))
    assert next(drawing) == [0]  # from here on torch raises an error where a worker was killed
    [worker] = set(multiprocessing.active_children()) - before
    with pytest.raises(Terminated, match="after step 1"):
        made.run([end_all])
    assert (tmp_path / "checkpoints" / "step-000000001").is_dir()


def test_a_recipe_of_one_process_refuses_several(tmp_path: Path) -> None:
    world = World(torch.device("cpu"), rank=0, size=2)
    parts = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2)})
    settings = distributed_run.Optimization()
    with pytest.raises(ValueError, match="one process, expected no 2"):
        Loop(parts, lambda *_: None, lambda *_: None, settings, 0, world, tmp_path)
