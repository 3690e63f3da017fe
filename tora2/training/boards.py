"""Measures of a run in TensorBoard and Weights & Biases, each where it is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Boards:
    """Where measures are shown besides the run's own log.

    Args:
        folder: of the run.
        tensorboard: write event files into `tensorboard/` there.
        wandb: project of Weights & Biases to log to; None for none.
        settings: of the run, which Weights & Biases shows.

    Raises:
        ValueError: says how to install what is missing.
    """

    def __init__(
        self, folder: Path, tensorboard: bool, wandb: str | None, settings: Mapping[str, Any]
    ) -> None:
        self._writer: Any = None
        self._run: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise ValueError(
                    "key 'tensorboard' needs TensorBoard: pip install tensorboard"
                ) from None
            self._writer = SummaryWriter(str(folder / "tensorboard"))
        if wandb is not None:
            try:
                import wandb as library
            except ImportError:
                raise ValueError("key 'wandb' needs Weights & Biases: pip install wandb") from None
            name = folder.name
            self._run = library.init(
                project=wandb, name=name, id=name, resume="allow", config=dict(settings)
            )

    def write(self, step: int, measures: Mapping[str, float]) -> None:
        """Show the measures of a step."""
        finite = {name: value for name, value in measures.items() if math.isfinite(value)}
        if self._writer is not None:
            for name, value in finite.items():
                self._writer.add_scalar(name, value, step)
        if self._run is not None:
            self._run.log(finite, step=step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
        if self._run is not None:
            self._run.finish()
