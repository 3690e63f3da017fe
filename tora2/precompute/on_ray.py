"""Shards encoded by several processes, on this machine or a cluster, with Ray Data."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..data.clipset import ClipSet
from ..data.damage import Damage
from .encoding import ClipEncoder, EncodingConfig
from .jobs import Job, Report, encode_shard

_ROOT = str(Path(__file__).parents[2])
# One progress bar is ours to show, and nothing is reported to anybody.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def encode_on_ray(
    config: EncodingConfig,
    folder: str | os.PathLike[str],
    jobs: Sequence[Job],
    workers: int,
    tolerance: float,
    report: Report,
) -> None:
    """Encode shards in `workers` processes, each with encoders of its own.

    Where a Ray cluster is set up (`RAY_ADDRESS`), its machines are used; the set must lie on a disk
    that they share. On GPUs a worker takes one.

    Args:
        config: of the encoders.
        folder: of the set.
        jobs: shards to encode.
        workers: at most so many at once.
        tolerance: share of the clips of one worker that may be damaged.
        report: of every clip, when its shard is done.

    Raises:
        ValueError: if Ray is not installed, or as the work in a process raised it.
    """
    ray = load_ray()
    place = os.path.abspath(folder)
    with running(ray, workers):
        gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
        rows = [{"shard": job.shard, "clips": list(job.clips)} for job in jobs]
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _Worker,
            fn_constructor_args=(config, place, tolerance),
            concurrency=(1, min(workers, len(rows))),
            num_cpus=1,
            num_gpus=1 if gpu else 0,
        )
        for row in results.iter_rows():
            if row["error"]:
                raise ValueError(row["error"])
            for reason in row["reports"]:
                report(reason or None)


class _Worker:
    """One process: its encoders, and how much it met that was damaged."""

    def __init__(self, config: EncodingConfig, folder: str, tolerance: float) -> None:
        torch.set_num_threads(config.threads)
        self.damage = Damage(tolerance)
        self.clips = ClipSet(folder)
        self.encoder = ClipEncoder(config)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        reports: list[str] = []

        def report(reason: str | None) -> None:
            if reason is None:
                self.damage.sound()
            else:
                self.damage.found(reason)
            reports.append(reason or "")

        job = Job(str(row["shard"]), tuple(int(index) for index in row["clips"]))
        try:
            encode_shard(self.encoder, self.clips, job, report)
        except (ValueError, OSError) as error:
            return {"reports": reports, "error": str(error) or type(error).__name__}
        return {"reports": reports, "error": ""}


def check_ray() -> None:
    """Refuse to use Ray where it is not installed.

    Raises:
        ValueError: says how to install it.
    """
    load_ray()


def load_ray() -> Any:
    """The module, quiet.

    Raises:
        ValueError: says how to install it.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError:
        raise ValueError(
            "more than one worker needs Ray: pip install 'comfyui-tora2[ray]', or set workers to 1"
        ) from None
    return ray


@contextmanager
def running(ray: Any, workers: int, address: str | None = None) -> Iterator[None]:
    """Ray for as long as the block lasts; one that runs already is used and left running."""
    started = not ray.is_initialized()
    if started:
        path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        address = address or os.environ.get("RAY_ADDRESS")
        local = {"address": address} if address else {"num_cpus": workers}
        _start(ray, {**local, "runtime_env": {"env_vars": {"PYTHONPATH": path}}})
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        if started:
            ray.shutdown()


def _start(ray: Any, options: dict[str, Any]) -> None:
    """Start or join a cluster; on a busy machine it may take more than Ray's half a minute."""
    for attempt in range(3):
        try:
            ray.init(
                **options, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
            )
            return
        except Exception as error:  # Ray has no type of its own for it
            ray.shutdown()
            if attempt == 2:
                raise ValueError(f"Ray does not start: {' '.join(str(error).split())}") from error
