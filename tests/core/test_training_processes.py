"""The bundled model's training in two processes: the model that one process makes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_training import SMALL_TRAINING

from tora2.models.autoencoder import PatchAutoencoder
from tora2.pipeline import Tora2Pipeline
from tora2.training.distributed import World
from tora2.training.recipes.tiny import load_config, make_loop, new_pipeline

ROOT = Path(__file__).parents[2]


def train(output: Path, processes: int) -> subprocess.CompletedProcess[str]:
    config = output.with_suffix(".yaml")
    config.write_text(SMALL_TRAINING.format(output=output) + "pool_growth: 2\npool_start: 4\n")
    command = [sys.executable, "-m"]
    if processes > 1:
        launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command += [*launcher, "-m"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*command, "tora2", "train", str(config)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_two_processes_make_the_model_of_one(tmp_path: Path) -> None:
    runs = [tmp_path / "one", tmp_path / "two"]
    for output, processes in zip(runs, (1, 2), strict=True):
        done = train(output, processes)
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = ([json.loads(x) for x in (run / "log.jsonl").open()] for run in runs)
    assert len(one) == len(two) == 4
    for name in ("loss", "velocity"):
        mine, theirs = ([line[name] for line in lines] for lines in (one, two))
        assert mine == pytest.approx(theirs, rel=1e-3), name
    assert one[-1]["bind_accuracy"] == pytest.approx(two[-1]["bind_accuracy"], abs=0.1)

    first, second = (Tora2Pipeline.from_pretrained(run / "model") for run in runs)
    for part in ("transformer", "adapter", "vae", "encoder", "text_encoder"):
        mine, theirs = getattr(first, part).state_dict(), getattr(second, part).state_dict()
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            torch.testing.assert_close(theirs[key], value, rtol=2e-2, atol=2e-3, msg=key)


def test_processes_that_cannot_share_a_batch_are_told_so(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SMALL_TRAINING.format(output=tmp_path / "run"))
    config = load_config(path)
    pipeline = new_pipeline(config, PatchAutoencoder(config.autoencoder))
    three = World(torch.device("cpu"), 0, 3)
    with pytest.raises(ValueError, match="'optimization.batch' is 4, .* multiple of 3"):
        make_loop(config, pipeline, lambda *drawn: pytest.fail("nothing is drawn"), tmp_path, three)
