"""The recipe that makes an adapter: what it trains, what it leaves alone, what it leaves behind."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import recipe_data
import torch
import yaml
from torch import nn

from tora2.backbones import backbone_of
from tora2.checkpoints import adapter_flow_sigma, inspect, load_adapter
from tora2.checkpoints.safetensors_file import read_header
from tora2.cli import main
from tora2.data.encoded import EncodedClips
from tora2.models.adapter import Tora2Adapter
from tora2.models.config import Tora2Config
from tora2.settings import changed, read
from tora2.training.distributed import World
from tora2.training.loop import Loop
from tora2.training.recipes import recipe_of
from tora2.training.recipes.adapter import PARTS, AdapterTraining, Run, load_config, train
from tora2.training.recipes.adapter.parts import part_of

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = ("tora_dense", "tora_sparse", "tora2_paper", "tora2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    recipe_data.write_clips(folder / "clips")
    recipe_data.write_transformer(folder / "transformer")
    return folder


def config(data: Path, output: Path, **changes: object) -> AdapterTraining:
    return read(AdapterTraining, recipe_data.settings(data, output, **changes))


def started(config: AdapterTraining, stage: int = 0):
    """A stage's model and loop, without a folder that is held."""
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(config, folder, World(torch.device("cpu")))
    model = run.model(None)
    source = run.source(config.stages[stage], 0)
    return run, model, run.loop(stage, config.stages[stage], model, source), source


def digest(module: nn.Module) -> str:
    content = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        content.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()


TWO_STAGES = [
    {
        "name": "dpe",
        "steps": 2,
        "train": ["personalization", "cross_attention"],
        "contrastive": False,
        "drops": {"trajectories": 1.0},
    },
    {"name": "bind", "steps": 3},
]


@pytest.fixture(scope="module")
def finished(data: Path) -> Path:
    validation = {"every": 5, "clips": 1, "steps": 2, "guidance": 1.0, "tracker": "colour"}
    made = config(data, data / "run", stages=TWO_STAGES, validation=validation)
    train(made)
    return data / "run"


def test_a_run_leaves_an_adapter_curves_videos_and_a_log(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["stage"] for line in lines] == [1, 1, 2, 2, 2]
    assert all({"loss", "gradient_norm", "velocity", "seconds"} <= line.keys() for line in lines)
    assert not any("contrastive" in line for line in lines[:2])
    assert any("contrastive" in line for line in lines[2:])
    assert (finished / "curves.png").stat().st_size > 1000
    videos = sorted(path.name for path in (finished / "validation").iterdir())
    assert [name[:11] for name in videos] == ["step-000000", "step-000005"]


def test_the_adapter_loads_and_tells_how_it_was_made(finished: Path) -> None:
    path = finished / "adapter.safetensors"
    adapter = load_adapter(path)
    assert adapter.capabilities == {"motion", "appearance", "binding"}
    metadata = read_header(path).metadata
    assert json.loads(metadata["tora2_training"])["stages"][0]["name"] == "dpe"
    assert len(metadata["tora2_data"]) == 32
    assert adapter_flow_sigma(path) == recipe_data.SIGMA
    assert "adapter" in str(inspect(path)).lower()


def test_a_finished_run_is_not_made_again(finished: Path, data: Path) -> None:
    before = (finished / "adapter.safetensors").stat().st_mtime_ns
    values = json.loads((finished / "config.json").read_text())
    train(read(AdapterTraining, values))
    assert (finished / "adapter.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="another configuration"):
        train(read(AdapterTraining, {**values, "seed": 1}))


@pytest.mark.parametrize("stop", [1, 4])
def test_a_run_that_stops_goes_on_bit_for_bit(
    finished: Path, data: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = json.loads((finished / "config.json").read_text())
    broken = data / f"broken{stop}"
    values = {**values, "output": str(broken), "validation": {"every": 0}}
    train_step, done = Loop.train_step, []

    def stopping(self: Loop) -> dict[str, float]:
        if len(done) == stop:
            raise KeyboardInterrupt
        done.append(1)
        return train_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "train_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(read(AdapterTraining, values))
    train(read(AdapterTraining, values))
    whole = load_adapter(finished / "adapter.safetensors").state_dict()
    again = load_adapter(broken / "adapter.safetensors").state_dict()
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name
    lines = (broken / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("recompute", [False, True])
def test_the_base_stays_bit_equal_and_text_alone_is_the_base(
    data: Path, tmp_path: Path, recompute: bool
) -> None:
    made = config(data, tmp_path, base={"recompute": recompute})
    run, model, loop, source = started(made)
    before = digest(model.transformer)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 16, 2, 4, 4, generator=generator)
    context = torch.randn(1, 24, 128, generator=generator)
    backbone = backbone_of(model.transformer)
    arguments = (model.transformer, latents, torch.tensor([500]), context)
    with torch.no_grad():
        plain = backbone.predict(*arguments)
    for _ in range(4):
        loop.train_step()
    source.close()
    assert digest(model.transformer) == before
    assert all(p.grad is None for p in model.transformer.parameters())
    clip = run.clips.load(0)
    empty = replace(
        clip,
        picture_mask=torch.zeros_like(clip.picture_mask),
        track_mask=torch.zeros_like(clip.track_mask),
    )
    with loop.averaged(), torch.no_grad():
        assert torch.equal(backbone.predict(*arguments, run.conditions(model, empty)), plain)
        with_all = backbone.predict(*arguments, run.conditions(model, clip))
    assert not torch.equal(with_all, plain)


@pytest.mark.parametrize("part", [*PARTS])
def test_only_what_a_stage_names_is_trained(data: Path, tmp_path: Path, part: str) -> None:
    stages = [{"name": "one", "steps": 4, "train": [part], "drops": {"trajectories": 0.0}}]
    _, model, loop, source = started(config(data, tmp_path, stages=stages))
    before = {name: p.detach().clone() for name, p in model.adapter.named_parameters()}
    for _ in range(2):
        loop.train_step()
    source.close()
    moved = {n for n, p in model.adapter.named_parameters() if not torch.equal(p, before[n])}
    assert moved and {part_of(name) for name in moved} == {part}
    assert all(
        (p.grad is not None) <= (part_of(n) == part) for n, p in model.adapter.named_parameters()
    )


def test_every_parameter_belongs_to_one_part() -> None:
    for changes in ({}, {"extractor": "dino"}, {"binder": "linear"}, {"binder": "none"}):
        adapter = Tora2Adapter(Tora2Config.preset("tiny", **changes))
        assert {part_of(name) for name, _ in adapter.named_parameters()} == set(PARTS)


def test_rates_are_those_of_what_parameters_are(data: Path, tmp_path: Path) -> None:
    _, model, loop, source = started(config(data, tmp_path))
    source.close()
    names = {id(p): name for name, p in model.adapter.named_parameters()}
    for group in loop.optimizer._adam.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            pretrained = part_of(name) in ("extractor", "fuser")
            rate = 3e-6 if pretrained else 1e-3 if ".gate_" in name else 1e-4
            assert group["peak"] == rate, name


def test_eight_bit_weights_train_like_the_weights_they_stand_for(
    data: Path, tmp_path: Path
) -> None:
    gradients = []
    for dtype in ("bf16", "fp8"):
        changes = {
            "base": {"dtype": dtype, "recompute": True},
            "optimization": {"precision": "bf16"},
        }
        _, model, loop, source = started(config(data, tmp_path / dtype, **changes))
        if dtype == "bf16":
            like = {n: p for n, p in model.transformer.named_parameters()}
        else:
            for name, parameter in model.transformer.named_parameters():
                like[name].data.copy_(parameter.data.to(torch.bfloat16))
            assert any(p.dtype == torch.float8_e4m3fn for p in model.transformer.parameters())
        gradients.append((model, loop, source))
    found = []
    for model, loop, source in gradients:
        found.append(loop.train_step()["loss"])
        found.append({n: p.grad for n, p in model.adapter.named_parameters()})
        source.close()
    assert found[0] == found[2]
    assert all(torch.equal(g, found[3][n]) for n, g in found[1].items() if g is not None)


def test_cached_geometry_of_another_model_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="adapter.dim.*is 128; it is 64"):
        started(config(data, tmp_path, adapter={"dim": 128}))
    copy = tmp_path / "clips"
    shutil.copytree(data / "clips", copy)
    path = copy / "cache" / "config.json"
    path.write_text(path.read_text().replace('"scaling":1.', '"scaling":2.'))
    with pytest.raises(ValueError, match="scaling of 2.*expected 1"):
        started(config(data, tmp_path, clips=str(copy)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stages": []}, "1 to 16 stages"),
        ({"stages": [{"name": "a"}, {"name": "a"}]}, "different names"),
        ({"stages": [{"name": "a/b"}]}, "'a/b'"),
        ({"stages": [{"name": "a", "train": ["base"]}]}, r"\['base'\]; expected some of"),
        ({"preset": "6b"}, "'6b'; expected one of"),
        ({"optimization": {"batch": 5, "accumulate": 2}}, "batch' is 5; expected a multiple"),
        ({"optimization": {"precision": "bf16"}}, "'fp32' and optimization.precision 'bf16'"),
        ({"adapter": {"capabilities": ["motion"]}, "stages": [{"train": ["binder"]}]}, "'binder'"),
        ({"base": {}, "motion": {"source": "none"}}, "'none'; expected one of"),
    ],
)
def test_bad_configurations_are_refused(
    data: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        config(data, tmp_path, **change)


def test_recipes_are_chosen_by_name(tmp_path: Path) -> None:
    assert recipe_of(CONFIGS / "tiny.yaml") == "tiny"
    assert {recipe_of(CONFIGS / f"{name}.yaml") for name in SHIPPED} == {"adapter"}
    path = tmp_path / "other.yaml"
    path.write_text("recipe: lora9\noutput: x\n")
    with pytest.raises(ValueError, match="'lora9'; expected one of tiny, adapter"):
        recipe_of(path)


def test_the_shipped_configurations_are_the_papers_and_the_practical_one() -> None:
    paper, practical = (load_config(CONFIGS / f"{name}.yaml") for name in ("tora2_paper", "tora2"))
    o = paper.optimization
    assert (o.batch, o.learning_rate, o.pretrained_learning_rate) == (32, 3e-6, 3e-6)
    assert (paper.steps, o.contrastive_weight, o.reduction) == (15_000, 0.2, "sum")
    drops = paper.stages[0].drops
    assert (drops.caption, drops.references, drops.trajectories) == (0.5, 0.33, 0.33)
    o = practical.optimization
    rates = (o.pretrained_learning_rate, o.learning_rate, o.gate_learning_rate)
    assert rates == (3e-6, 1e-4, 1e-3)
    assert (o.betas, o.weight_decay, o.clip, o.warmup) == ((0.9, 0.95), 1e-4, 1.0, 200)
    assert [stage.name for stage in practical.stages] == ["dpe", "binder", "contrastive"]
    for base in ("tora", "wan", "latte"):
        for source in ("dense", "sparse"):
            made = load_config(CONFIGS / f"{base}_{source}.yaml")
            assert made.adapter_config().enabled == ("motion",) and made.motion.source == source
    for name in ("wan", "latte"):
        assert load_config(CONFIGS / f"{name}.yaml").stages == practical.stages


def arms() -> list[str]:
    lines = (CONFIGS / "tora2.yaml").read_text().splitlines()
    return [line[2:] for line in lines if re.match(r"# (adapter|optimization): \{.*\}$", line)]


@pytest.mark.parametrize("arm", arms())
def test_every_arm_of_the_papers_tables_builds(data: Path, tmp_path: Path, arm: str) -> None:
    change = yaml.safe_load(arm)
    made = changed(load_config(CONFIGS / "tora2.yaml"), change)
    with torch.device("meta"):
        Tora2Adapter(made.adapter_config())
    small = config(data, tmp_path, **change)
    _, _, loop, source = started(small)
    assert loop.train_step()["loss"] > 0
    source.close()


def test_there_are_as_many_arms_as_the_tables_have() -> None:
    assert len(arms()) == 4 + 3 + 1 + 1


def test_two_processes_train_as_one(data: Path, tmp_path: Path) -> None:
    logs = []
    for count in (1, 2):
        values = recipe_data.settings(data, tmp_path / str(count), stages=TWO_STAGES)
        values["validation"] = {"every": 5, "clips": 1, "steps": 2, "guidance": 1.0}
        path = tmp_path / f"{count}.json"
        path.write_text(json.dumps(values))
        script = str(Path(recipe_data.__file__))
        command = [sys.executable, script, str(path)]
        if count > 1:
            launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
            command = [*launcher, f"--nproc-per-node={count}", script, str(path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        root = str(Path(__file__).parents[2])
        environment["PYTHONPATH"] = f"{root}:{Path(__file__).parent}"
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        log = (tmp_path / str(count) / "log.jsonl").read_text().splitlines()
        logs.append([json.loads(line) for line in log])
    assert len(logs[0]) == len(logs[1]) == 5
    for one, two in zip(*logs, strict=True):
        assert one.keys() == two.keys()
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
    first, second = (load_adapter(tmp_path / n / "adapter.safetensors") for n in ("1", "2"))
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=name)


def test_the_data_has_clips_with_cache(data: Path) -> None:
    clips = EncodedClips(data / "clips")
    assert len(clips) == recipe_data.CLIPS and clips.config.augmentations > 1


@pytest.mark.parametrize("source", ["dense", "sparse"])
def test_toras_stages_train_on_the_clips_own_flow(data: Path, tmp_path: Path, source: str) -> None:
    pytest.importorskip("cv2")
    clips = recipe_data.write_clips(tmp_path / "clips", flow="farneback")
    stages = [{"name": source, "steps": 2, "train": ["extractor", "fuser"]}]
    stages[0]["drops"] = {"trajectories": 0.0}
    made = config(
        data,
        tmp_path / "run",
        clips=str(clips),
        adapter={"capabilities": ["motion"]},
        motion={"source": source, "spacing": 8},
        stages=stages,
    )
    _, model, loop, batches = started(made)
    before = {name: p.detach().clone() for name, p in model.adapter.named_parameters()}
    for _ in range(2):
        loop.train_step()
    batches.close()
    moved = [n for n, p in model.adapter.named_parameters() if not torch.equal(p, before[n])]
    assert any(n.startswith("extractor.") for n in moved)
    assert any(n.startswith("fuser.") for n in moved)
    if source == "dense":
        _, model, loop, batches = started(replace(made, clips=str(data / "clips")))
        with pytest.raises(ValueError, match="no dense flow, expected precompute's key 'flow'"):
            loop.train_step()
        batches.close()


def test_sigterm_leaves_a_checkpoint_and_ends_well(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(recipe_data.settings(data, tmp_path / "run")))
    train_step = Loop.train_step

    def asked(self: Loop) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return train_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "train_step", asked)
        assert main(["train", str(path)]) == 0
    assert not (tmp_path / "run" / "adapter.safetensors").exists()
    assert [p.name for p in (tmp_path / "run/checkpoints/1-all").iterdir()] == ["step-000000001"]
    assert main(["train", str(path)]) == 0
    assert (tmp_path / "run" / "adapter.safetensors").exists()
