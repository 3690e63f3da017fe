"""A Tora2 adapter for a frozen CogVideoX, on clips that were encoded beforehand."""

from .config import AdapterTraining, Stage, load_config
from .parts import PARTS
from .run import Run, run, train

__all__ = ["PARTS", "AdapterTraining", "Run", "Stage", "load_config", "run", "train"]
