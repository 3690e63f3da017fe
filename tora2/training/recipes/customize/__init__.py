"""LoRAs from little: a motion from a few clips, subjects from a few pictures, or both in turns."""

from .config import Customization, load_config
from .run import customize, run

__all__ = ["Customization", "customize", "load_config", "run"]
