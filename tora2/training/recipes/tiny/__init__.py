"""The bundled model: all parts from nothing, on SpriteBind."""

from .config import TrainConfig, TransformerShape, load_config
from .model import (
    adapter_config,
    make_adapter,
    make_text_encoder,
    make_transformer,
    new_pipeline,
)
from .run import check, draw_pool, make_loop, run, train

__all__ = [
    "TrainConfig",
    "TransformerShape",
    "adapter_config",
    "check",
    "draw_pool",
    "load_config",
    "make_adapter",
    "make_loop",
    "make_text_encoder",
    "make_transformer",
    "new_pipeline",
    "run",
    "train",
]
