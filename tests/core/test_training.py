"""The trainer on a very small model: it learns, it resumes bit for bit, it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_training import SMALL_TRAINING

from tora2.data.pool import Pool
from tora2.data.spritebind import SpriteBind
from tora2.data.spritebind.encoding import encode_clips, rendered
from tora2.evaluation.benchmark import EvaluationConfig
from tora2.pipeline import Tora2Pipeline
from tora2.settings import changed, load
from tora2.training.ablation import AblationConfig
from tora2.training.distributed import World
from tora2.training.loop import Loop
from tora2.training.optimizer import check_muon
from tora2.training.recipes.tiny import TrainConfig, load_config, make_loop, new_pipeline, run


def write(folder: Path, name: str, **changes: str) -> Path:
    text = SMALL_TRAINING.format(output=folder / name)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run(write(folder, "whole"))
    return folder


def test_a_run_leaves_a_model_that_loads_and_curves(finished: Path) -> None:
    output = finished / "whole"
    pipeline = Tora2Pipeline.from_pretrained(output / "model")
    assert pipeline.info.width == 32 and pipeline.info.frames == 5
    assert pipeline.adapter.capabilities == {"motion", "appearance", "binding"}
    assert (output / "curves.png").stat().st_size > 1000
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert "bind_accuracy" in lines[-1] and lines[-1]["loss"] > 0


def test_save_and_load_give_the_same_model(finished: Path, tmp_path: Path) -> None:
    first = Tora2Pipeline.from_pretrained(finished / "whole" / "model")
    first.save_pretrained(tmp_path, dtype=torch.float32)
    again = Tora2Pipeline.from_pretrained(tmp_path)
    for part in ("transformer", "adapter", "vae", "encoder", "text_encoder"):
        mine, theirs = getattr(first, part).state_dict(), getattr(again, part).state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_resume_continues_bit_for_bit(finished: Path) -> None:
    """A run that stops in the middle ends with the very weights of one that does not."""
    import shutil

    output = finished / "broken"
    path = write(finished, "broken")
    shutil.copytree(finished / "whole" / "vae", output / "vae")
    shutil.copy(finished / "whole" / "pool.pt", output / "pool.pt")

    class Stop(Exception):
        pass

    train_step = Loop.train_step

    def stopping(self: Loop) -> dict[str, float]:
        if self.step == 3:
            raise Stop
        return train_step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "train_step", stopping)
        with pytest.raises(Stop):
            run(path)
    run(path)
    [whole, broken] = [
        load_file(next((run / "checkpoints" / "step-000000004").glob("*.safetensors")))
        for run in (finished / "whole", output)
    ]
    assert whole.keys() == broken.keys()
    assert {name.split("/")[0] for name in whole} >= {"weights", "average", "exp_avg"}
    for name, value in whole.items():
        assert torch.equal(value, broken[name]), name
    assert (output / "log.jsonl").read_text().count("\n") == 4


def test_the_loss_falls_and_the_gates_open(finished: Path, tmp_path: Path) -> None:
    config = load_config(finished / "whole.yaml")
    optimization = replace(config.optimization, steps=40, warmup=5, evaluate_every=0, batch=8)
    config = replace(config, optimization=optimization)
    vae = Tora2Pipeline.from_pretrained(finished / "whole" / "model").vae
    pipeline = new_pipeline(config, vae)
    [clips] = rendered(SpriteBind(config.data, 1, "train"), config.data.sigma, 8)
    pool = encode_clips(clips, vae, pipeline.tokenizer, config.transformer.text_tokens)
    loop = make_loop(config, pipeline, Pool(pool), tmp_path, World(torch.device("cpu")))
    losses = [loop.train_step()["velocity"] for _ in range(40)]
    assert sum(losses[-8:]) < 0.85 * sum(losses[:8])
    binder = pipeline.adapter.binder
    assert abs(float(binder.gate_m)) > 1e-4 and abs(float(binder.gate_p)) > 1e-4


def test_a_run_begins_with_what_an_earlier_one_left(finished: Path, tmp_path: Path) -> None:
    model = finished / "whole" / "model"
    further = write(
        tmp_path,
        "further",
        **{"learning_rate: 0.002": "learning_rate: 0.0, gate_learning_rate: 0.0"},
    )
    further.write_text(f"{further.read_text()}weights_from: {model}\n")
    # At a rate of zero nothing moves.
    first, again = (Tora2Pipeline.from_pretrained(path) for path in (model, run(further)))
    for part in ("transformer", "adapter", "vae", "encoder", "text_encoder"):
        mine, theirs = getattr(first, part).state_dict(), getattr(again, part).state_dict()
        for key, value in mine.items():
            torch.testing.assert_close(theirs[key], value, rtol=1e-2, atol=1e-3)

    # From nothing with fewer steps, gates open less than the model's; from the model's, more.
    frozen = write(tmp_path, "frozen", **{"steps: 4, batch": "steps: 3, batch"})
    frozen.write_text(f"{frozen.read_text()}backbone_from: {model}\n")
    onto = Tora2Pipeline.from_pretrained(run(frozen))
    for part in ("transformer", "vae", "encoder", "text_encoder"):
        mine, theirs = getattr(first, part).state_dict(), getattr(onto, part).state_dict()
        assert all(torch.equal(theirs[key], value) for key, value in mine.items()), part
    gates = [abs(p.adapter.state_dict()["binder.gate_p"]) for p in (onto, first)]
    assert 0 < gates[0] < gates[1]

    other = write(tmp_path, "other", **{"text_layers: 1": "text_layers: 2"})
    other.write_text(f"{other.read_text()}weights_from: {model}\n")
    with pytest.raises(ValueError, match="has a text_encoder of other sizes"):
        run(other)
    other.write_text(f"{other.read_text()}autoencoder_from: {model}/vae\n")
    with pytest.raises(ValueError, match="are both set"):
        run(other)


def test_muon_moves_the_linear_layers_of_one_process(tmp_path: Path) -> None:
    path = write(tmp_path, "muon", **{"precision: fp32": "precision: fp32, matrices: muon"})
    assert Tora2Pipeline.from_pretrained(run(path))
    [file] = (tmp_path / "muon" / "checkpoints" / "step-000000004").glob("*.safetensors")
    names = load_file(file).keys()
    linear = "transformer.transformer_blocks.0.attn1.to_q.weight"
    assert f"momentum_buffer/{linear}" in names and f"exp_avg/{linear}" not in names
    embedding = "text_encoder.shared.weight"
    assert f"exp_avg/{embedding}" in names and f"momentum_buffer/{embedding}" not in names
    with pytest.raises(ValueError, match="'optimization.matrices' is 'muon', .* for 2"):
        check_muon(2)


def test_short_windows_make_a_model_of_whole_clips(tmp_path: Path) -> None:
    path = write(tmp_path, "windows", **{"frames: 5": "frames: 9, window: 5"})
    assert Tora2Pipeline.from_pretrained(run(path)).info.frames == 9
    path.write_text(f"{path.read_text()}clips: {tmp_path}\n")
    with pytest.raises(ValueError, match="shards are of whole clips"):
        run(path)


def test_another_configuration_does_not_take_over_a_folder(finished: Path) -> None:
    path = write(finished, "whole", **{"pool: 8": "pool: 9"})
    with pytest.raises(ValueError, match="another configuration"):
        run(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("pool: 8", "pools: 8", "key 'pools' is unknown"),
        ("steps: 4", "steps: four", "key 'optimization.steps' is 'four'; expected int"),
        ("size: 32", "size: true", "key 'data.size' is True; expected int"),
        ("pool: 8", "pool: [", "is not YAML"),
    ],
)
def test_bad_configurations_are_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("[", "\\[")):
        load_config(write(tmp_path, "bad", **{old: new}))


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("output: !!python/object/apply:os.system ['touch owned']\n")
    with pytest.raises(ValueError, match="is not YAML"):
        load_config(path)
    with pytest.raises(ValueError, match="does not exist"):
        load_config(tmp_path / "none.yaml")


def test_the_shipped_configurations_are_well_formed() -> None:
    folder = Path(__file__).parents[2] / "configs"
    tiny = load_config(folder / "tiny.yaml")
    assert (tiny.drops.caption, tiny.drops.references, tiny.drops.trajectories) == (0.5, 0.33, 0.33)
    assert load_config(folder / "tiny_shapes.yaml").autoencoder.encoder == "components"
    load(EvaluationConfig, folder / "evaluate.yaml")
    ablation = load(AblationConfig, folder / "ablation.yaml")
    base = changed(load_config(folder / ablation.base), ablation.changes)
    arms = ablation.trainings(base)
    assert {arm.adapter["binder"] for arm in arms.values()} == {"none", "linear", "gated"}
    assert all(isinstance(arm, TrainConfig) for arm in arms.values())
