"""The plan's figures are those of steps that are really made."""

import math
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tora2.data.cache import CacheConfig
from tora2.training.counting import as_on_a_gpu, shapes
from tora2.training.loop import Loop
from tora2.training.plan.loops import Sizes, adapter_loop, warm
from tora2.training.plan.measure import Adapter
from tora2.training.plan.step import StepCount, count_step
from tora2.training.recipes.adapter.config import (
    AdapterOptimization,
    AdapterTraining,
    Base,
    Stage,
)

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


@pytest.mark.parametrize("changes", CASES)
def test_operations_are_those_that_a_profiler_counts_in_two_steps(changes: dict[str, Any]) -> None:
    made = config(**changes)
    loop = real(made)
    with FlopCounterMode(display=False) as profiler:
        first = loop.train_step()
        loop.train_step()
    assert math.isfinite(first["loss"])
    steps = 2 * made.optimization.accumulate
    assert planned(made, gpu=False).total * steps == profiler.get_total_flops()


@pytest.mark.parametrize("changes", CASES)
@pytest.mark.parametrize("gpu", [False, True])
def test_memory_is_that_of_a_real_step(changes: dict[str, Any], gpu: bool) -> None:
    made = config(**changes)
    loop = real(made)
    with as_on_a_gpu() if gpu else nullcontext():
        loop.train_step()
        measured = count_step(loop)
    expected = planned(made, gpu=gpu)
    assert expected.operations == measured.operations
    for name, moment in expected.moments.items():
        assert sum(moment.values()) == pytest.approx(sum(measured.moments[name].values()), rel=0.05)
        assert moment["gradients"] == pytest.approx(measured.moments[name]["gradients"], rel=0.05)


def test_recomputation_trades_operations_for_memory() -> None:
    kept, again = planned(config(recompute=False), 8), planned(config(), 8)
    assert kept.operations["recomputation"] == 0 < again.operations["recomputation"]
    assert again.operations["forward"] == kept.operations["forward"]
    assert _peak(again) < 0.6 * _peak(kept)


def _peak(step: StepCount) -> int:
    return max(sum(moment.values()) for moment in step.moments.values())


@pytest.mark.parametrize("recompute", [False, True])
def test_all_blocks_cost_what_a_few_tell(recompute: bool) -> None:
    made = config(recompute=recompute)
    [stage] = Adapter(made, sizes(13)).stages()
    whole = planned(made, 13)
    assert stage.peaks.step.operations == whole.operations
    assert _peak(stage.peaks.step) == pytest.approx(_peak(whole), rel=0.03)
