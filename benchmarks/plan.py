"""What `train --plan` says against steps that are made: CogVideoX-5B's widths, two blocks, CPU.

Run `python benchmarks/plan.py`, with `--keep` for activations that are kept in place of computed
again, or under `torchrun --standalone --nproc-per-node 2` for weights that are divided. Operations
are those of torch's profiler of two steps; memory is what the tensors of a step take, followed one
by one, and what the operating system gives the process at the step's worst moment. Clips have 17
frames of 240 x 368, the weights are random. Linux alone.
"""

import argparse
import ctypes
import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[1]))

from tora2.training.counting import as_on_a_gpu, profiler, shapes  # noqa: E402
from tora2.training.distributed import World, world  # noqa: E402
from tora2.training.plan.loops import adapter_loop, warm  # noqa: E402
from tora2.training.plan.measure import (  # noqa: E402
    drawn_bytes,
    published_cache,
    sizes_of,
    weights_of,
)
from tora2.training.plan.memory import REDUCE, Peaks, memory  # noqa: E402
from tora2.training.plan.step import UPDATE, count_step  # noqa: E402
from tora2.training.recipes.adapter.config import (  # noqa: E402
    AdapterOptimization,
    AdapterTraining,
    Base,
)

FRAMES, HEIGHT, WIDTH, LAYERS = 17, 240, 368, 2
_GB = 1e9
_MAP_THRESHOLD = -3  # of mallopt: what is larger goes back to the system when it is freed


def compare(us: World, recompute: bool) -> None:
    """Print what a step was said to take, and what it took."""
    config = AdapterTraining(
        output="-",
        clips="-",
        base=Base("-", recompute=recompute),
        optimization=AdapterOptimization(batch=us.size),
    )
    stage = config.stages[0]
    cache = published_cache(config, FRAMES, HEIGHT, WIDTH)
    sizes = replace(sizes_of(config)[0], cache=cache).with_layers(LAYERS)
    warm()
    with shapes():
        step = count_step(adapter_loop(config, stage, sizes, 1, low=us.size > 1))
    weights = replace(weights_of(config, sizes, stage), autoencoder=0)
    plan = memory(weights, Peaks(step, drawn_bytes(cache, 1)), us.size, recompute, copied=True)
    gradients = plan.moments[UPDATE].get("gradients", 0)

    library = ctypes.CDLL("libc.so.6")
    library.mallopt(_MAP_THRESHOLD, 1 << 20)
    gc.collect()
    library.malloc_trim(0)
    before = _status("VmRSS")
    torch.manual_seed(0)
    loop: Any = adapter_loop(config, stage, sizes, 1, us=us)
    with as_on_a_gpu():
        with profiler() as counter:
            for _ in range(2):
                loop.train_step()
        loop.optimizer.zero_grad()
        if us.size > 1:
            loop._call.reshard()
        gc.collect()
        library.malloc_trim(0)
        stays = _status("VmRSS") - before
        with _peaks_around_the_reduction(before) as peaks:
            loop.train_step()
        tracked = count_step(loop) if us.size == 1 else None
    if not us.first:
        return
    counted = counter.get_total_flops()
    print(f"two steps, profiler: {counted} operations; plan: {2 * step.total}")
    print(f"between steps: {stays / _GB:.3f} GB, plan {(plan.at(UPDATE) - gradients) / _GB:.3f}")
    computing = max(plan.at(name) for name in plan.moments if name not in (REDUCE, UPDATE))
    print(f"computing: {peaks[0] / _GB:.3f} GB, plan {computing / _GB:.3f}")
    if us.size > 1:
        print(f"reducing: {peaks[1] / _GB:.3f} GB, plan {plan.at(REDUCE) / _GB:.3f}")
    if tracked is not None:
        for name, kinds in step.moments.items():
            there = sum(tracked.moments[name].values())
            print(f"tensors, {name}: {there / _GB:.4f} GB, plan {sum(kinds.values()) / _GB:.4f}")


@contextmanager
def _peaks_around_the_reduction(before: int) -> Iterator[list[int]]:
    """The most memory until gradients are reduced, and from then on."""
    peaks: list[int] = []
    reduce = dist.reduce_scatter_tensor

    def reduced(*args: Any, **kwargs: Any) -> Any:
        peaks.append(_status("VmHWM") - before)
        _forget()
        return reduce(*args, **kwargs)

    _forget()
    dist.reduce_scatter_tensor = reduced
    try:
        yield peaks
    finally:
        dist.reduce_scatter_tensor = reduce
        peaks.append(_status("VmHWM") - before)


def _status(key: str) -> int:
    found = re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _forget() -> None:
    """Have the peak of this process's memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", action="store_true", help="no recomputation")
    arguments = parser.parse_args()
    with world("cpu") as us:
        compare(us, not arguments.keep)


if __name__ == "__main__":
    main()
