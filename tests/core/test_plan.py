"""The plan's figures are those of steps that are really made."""

import json
import math
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import recipe_data
import torch
import yaml

from tora2.cli import main
from tora2.data.cache import CacheConfig
from tora2.training.counting import as_on_a_gpu, profiler, shapes
from tora2.training.distributed import World
from tora2.training.loop import Loop
from tora2.training.plan import Cards, cards, report, run
from tora2.training.plan.advice import Case, _switches, advise
from tora2.training.plan.loops import Sizes, adapter_loop, tiny_like, tiny_loop, warm
from tora2.training.plan.measure import Adapter, sizes_of, weights_of
from tora2.training.plan.memory import Peaks, Weights, memory
from tora2.training.plan.step import MOMENTS, StepCount, count_step
from tora2.training.recipes.adapter import Run, load_config
from tora2.training.recipes.adapter.config import (
    AdapterOptimization,
    AdapterTraining,
    Base,
    Stage,
)
from tora2.training.recipes.tiny.config import TinyOptimization, TrainConfig, TransformerShape

CONFIGS = Path(__file__).parents[2] / "configs"
FRAMES, SIDE = 9, 64
CACHE = CacheConfig(
    frames=FRAMES,
    height=SIDE,
    width=SIDE,
    fps=8.0,
    channels=16,
    latent_frames=3,
    rows=8,
    columns=8,
    scaling=1.0,
    posterior=True,
    text_tokens=12,
    text_dim=48,
    semantic_tokens=17,
    semantic_dim=96,
    face_dim=96,
    object_dim=96,
    augmentations=2,
    seed=0,
    storage="bfloat16",
    encoders={},
)
AUTOENCODER = {"latent_channels": 16, "width": 32, "layers": 1, "scaling_factor": 1.0}


def sizes(layers: int = 3) -> Sizes:
    transformer = {
        "num_attention_heads": 2,
        "attention_head_dim": 64,
        "num_layers": layers,
        "text_embed_dim": 48,
        "time_embed_dim": 32,
        "max_text_seq_length": 12,
        "use_rotary_positional_embeddings": True,
    }
    return Sizes(transformer, AUTOENCODER, CACHE)


def config(**changes: Any) -> AdapterTraining:
    base = {"recompute": changes.pop("recompute", True), "dtype": changes.pop("dtype", "bf16")}
    optimization = {"batch": 2, "steps": 10, **changes.pop("optimization", {})}
    if base["dtype"] == "fp32":
        optimization["precision"] = "fp32"
    return AdapterTraining(
        output="out",
        clips="clips",
        preset="tiny",
        base=Base("tiny", **base),
        adapter={"attention_interval": 2},
        optimization=AdapterOptimization(**optimization),
        **changes,
    )


def planned(made: AdapterTraining, layers: int = 3, gpu: bool = True) -> StepCount:
    warm()
    with shapes(gpu):
        return count_step(adapter_loop(made, made.stages[0], sizes(layers), 2))


def real(made: AdapterTraining, layers: int = 3) -> Loop:
    torch.manual_seed(0)
    return adapter_loop(made, made.stages[0], sizes(layers), 2)


CASES = [
    {},
    {"recompute": False},
    {"dtype": "fp32"},
    {"optimization": {"batch": 4, "accumulate": 2}},
    {"stages": (Stage(train=("extractor", "fuser"), contrastive=False),)},
]


@pytest.mark.parametrize(
    ("changes", "gpu"),
    [*((changes, False) for changes in CASES), *((changes, True) for changes in CASES[:2])],
)
def test_operations_and_memory_are_those_of_real_steps(changes: dict[str, Any], gpu: bool) -> None:
    made = config(**changes)
    loop = real(made)
    with as_on_a_gpu() if gpu else nullcontext():
        with profiler() as counted:
            first = loop.train_step()
        measured = count_step(loop, whole=True)
    assert math.isfinite(first["loss"])
    expected = planned(made, gpu=gpu)
    batches = made.optimization.accumulate
    assert expected.total * batches == counted.get_total_flops()
    assert expected.operations == measured.operations
    for name in MOMENTS:
        there, here = expected.moments[name], measured.moments[name]
        assert sum(there.values()) == pytest.approx(sum(here.values()), rel=0.05)
        assert there["gradients"] == pytest.approx(here["gradients"], rel=0.05)


def test_recomputation_trades_operations_for_memory() -> None:
    kept, again = planned(config(recompute=False), 8), planned(config(), 8)
    assert kept.operations["recomputation"] == 0 < again.operations["recomputation"]
    assert again.operations["forward"] == kept.operations["forward"]
    assert _activations(again) < 0.6 * _activations(kept)


def _activations(step: StepCount) -> int:
    return max(moment["activations"] for moment in step.moments.values())


def test_all_blocks_cost_what_a_few_tell() -> None:
    made = config()
    [stage] = Adapter(made, sizes(13)).stages()
    whole = planned(made, 13)
    assert stage.peaks.step.operations == whole.operations
    for name in MOMENTS:
        told = sum(stage.peaks.step.moments[name].values())
        assert told == pytest.approx(sum(whole.moments[name].values()), rel=0.03)


def test_the_bundled_models_step(tmp_path: Path) -> None:
    made = TrainConfig(
        output=str(tmp_path),
        transformer=TransformerShape(heads=1, layers=2, text_layers=1),
        adapter={"feature_dim": 16},
        optimization=TinyOptimization(batch=2, precision="fp32"),
    )
    warm()
    like = tiny_like(made)
    with shapes(gpu=False):
        expected = count_step(tiny_loop(made, like))
    assert expected.total > 0
    assert expected.moments["update"]["gradients"] > 0


def test_the_published_sizes() -> None:
    config = load_config(CONFIGS / "tora2_paper.yaml")
    sizes, notes = sizes_of(config)
    with torch.device("meta"):
        parts = weights_of(config, sizes, config.stages[0]).parts
    millions = {name: round((still + moving) / 1e6, 1) for name, (still, moving) in parts.items()}
    assert millions["fuser"] == 669.4
    assert millions["extractor"] == 24.9
    assert millions["cross_attention"] == 440.6
    assert millions["transformer"] == 5570.3
    assert parts["transformer"][1] == parts["autoencoder"][1] == 0
    assert sizes.layers == 42
    assert any("CogVideoX-5B" in note for note in notes)


STEP = StepCount({}, {name: {"activations": 0, "gradients": 0, "copies": 0} for name in MOMENTS})


def test_what_is_divided_and_what_is_gathered() -> None:
    weights = Weights({"a": (1000, 0), "b": (0, 80)}, 2000, 1600, 8, around=200)
    alone = memory(weights, Peaks(STEP, 7))
    assert alone.moments["forward"] == {
        "frozen weights": 2000,
        "trained weights": 320,
        "Adam's moments": 640,
        "EMA": 320,
        "clips": 7,
    }
    eight = memory(weights, Peaks(STEP, 7), 8)
    assert eight.moments["forward"] == {
        "frozen weights": 250,
        "trained weights": 40,
        # all that is trained and what is in no block, in two bytes, and three blocks
        "gathered weights": 2 * (80 + 200) + 3 * 200,
        "Adam's moments": 80,
        "EMA": 40,
        "clips": 7,
    }
    assert eight.moments["reduction of gradients"]["gradients"] == 2 * 80
    assert eight.moments["reduction of gradients"]["reduction"] == 4 * 80
    assert eight.moments["update"]["gradients"] == 40
    # gloo sums a copy of the buffer, while this process's share of the sums is there already
    copied = memory(weights, Peaks(STEP, 7), 8, copied=True).moments["reduction of gradients"]
    assert (copied["gradients"], copied["reduction"]) == (40, 2 * 320)


def test_between_two_steps_there_are_no_gradients_and_eight_bits_are_a_quarter() -> None:
    weights = Weights({"b": (0, 2560)}, 0, 0, 8)
    shown = memory(weights, Peaks(STEP, 0, decoding=5)).moments["validation"]
    assert shown == {
        "trained weights": 10240,
        "Adam's moments": 20480,
        "EMA": 10240,
        "activations": 5,
    }
    small = memory(replace(weights, eight_bit=True), Peaks(STEP, 0))
    assert small.moments["update"]["Adam's moments"] == 2 * (2560 + 4 * 10)


def peaks(config: AdapterTraining, sizes: Sizes, cards: Cards) -> list[Any]:
    """Stages whose memory follows the switches by simple rules."""
    clips = config.optimization.batch // (config.optimization.accumulate * cards.count)
    weights = (8 if config.base.dtype == "fp8" else 12) / cards.count
    weights -= 3 * (config.optimization.moments == "8bit")
    step = weights + clips * (1 if config.base.recompute else 8) * sizes.cache.frames / 9
    shown = weights + (2 if config.base.tiled else 9) if config.validation.every else 0
    return [SimpleNamespace(memory=SimpleNamespace(peak=int(max(step, shown) * 2**30)))]


def test_advice_of_several_gpus_is_without_eight_bit_moments() -> None:
    made = config(optimization={"batch": 4, "moments": "8bit"})
    with pytest.raises(ValueError, match="'optimization.moments' is '8bit', .* for 2"):
        Adapter(made, sizes(), 2)
    [more] = [one for one in _switches(Case(made, sizes(), Cards())) if one.words == "2 GPUs"]
    assert more.change(Case(made, sizes(), Cards())).config.optimization.moments == "fp32"


@pytest.mark.parametrize(
    ("memory", "switches", "words"),
    [
        (20.5, {"batch": 1}, "base.tiled: true"),
        (18, {"batch": 1, "tiled": True}, "base.recompute: true"),
        (14.5, {"batch": 4, "recompute": True}, "base.tiled: true and optimization.accumulate: 4"),
        (12, {"batch": 1, "recompute": True}, "base.tiled: true and optimization.moments: 8bit"),
        (8, {"batch": 1, "recompute": True}, "validation.every: 0 and base.dtype: fp8"),
        (5, {"batch": 4, "recompute": True}, "validation.every: 0 and 4 GPUs"),
    ],
)
def test_advice_names_what_makes_it_fit(
    memory: float,
    switches: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tora2.training.plan.advice.adapter_stages", peaks)
    made = config(
        recompute=switches.get("recompute", False), optimization={"batch": switches["batch"]}
    )
    made = replace(made, base=replace(made.base, tiled=switches.get("tiled", False)))
    small = Cards(memory=memory, share=1.0)
    assert Case(made, sizes(), small).peak() > small.usable
    advice = list(advise(Case(made, sizes(), small)))
    assert advice[-1].fits and words in advice[-1].words
    assert not any(one.fits for one in advice[:-1])


def test_advice_says_when_nothing_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tora2.training.plan.advice.adapter_stages", peaks)
    advice = list(advise(Case(config(), sizes(), Cards(memory=0.001))))
    assert advice and not any(one.fits for one in advice)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("written")
    recipe_data.write_clips(tmp_path / "clips")
    recipe_data.write_transformer(tmp_path / "transformer")
    still = {"caption": 0.0, "references": 0.0, "trajectories": 0.0}
    values = recipe_data.settings(
        tmp_path, tmp_path / "out", stages=[{"name": "all", "steps": 4, "drops": still}]
    )
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_run_on_real_clips_costs_what_its_plan_says(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(written), "--plan", "--json", "--card", "4090"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["fits"] and not said["notes"]
    assert said["disk"]["clips"] == recipe_data.CLIPS

    made = load_config(written)
    folder = Path(made.output)
    folder.mkdir()
    us = Run(made, folder, World(torch.device("cpu")))
    model = us.model(None)
    source = us.source(made.stages[0], 0)
    loop = us.loop(0, made.stages[0], model, source)
    with as_on_a_gpu(), profiler() as counted:
        loop.train_step()
    source.close()
    # Clips differ in their entities and pictures; the plan has as many as there may be.
    real = counted.get_total_flops()
    assert real <= said["stages"][0]["operations_a_step"] <= 1.1 * real


def test_the_report_says_what_the_figures_are(written: Path) -> None:
    text = report(run(written, cards("a100", 2)))
    for words in ("2 x 80 GiB", "cross_attention", "reduction of gradients", "a clip", "fits: "):
        assert words in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--card", "5090"], "5090.*4090, a100"),
        (["--gpus", "3"], "4.*multiple of 3"),
        (["--gpus", "0"], "count is 0"),
        (["--memory", "nan"], "memory is nan"),
        (["--utilisation", "35"], "utilisation is 35"),
        (["--clips", "0"], "--clips is 0"),
    ],
)
def test_bad_options_are_refused(
    written: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(written), "--plan", *options]) == 2
    assert re.search(words, capsys.readouterr().err)
