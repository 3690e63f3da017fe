"""Tora2: several entities in one video, each like its pictures, each on its path.

The names below are loaded when they are first used, so that importing the package stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conditioning import EntityCondition, Tora2Conditioning
    from .models.adapter import Tora2Adapter, Tora2Config
    from .pipeline import Tora2Output, Tora2Pipeline
    from .scene import Scene, load_scene

__version__ = "0.1.0"

_HOMES = {
    "EntityCondition": "conditioning",
    "Scene": "scene",
    "Tora2Adapter": "models.adapter",
    "Tora2Conditioning": "conditioning",
    "Tora2Config": "models.adapter",
    "Tora2Output": "pipeline",
    "Tora2Pipeline": "pipeline",
    "load_scene": "scene",
}

__all__ = [
    "EntityCondition",
    "Scene",
    "Tora2Adapter",
    "Tora2Conditioning",
    "Tora2Config",
    "Tora2Output",
    "Tora2Pipeline",
    "load_scene",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
