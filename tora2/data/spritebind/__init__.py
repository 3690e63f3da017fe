"""SpriteBind: procedural clips in which binding is the only way to be right: see
docs/method.md, Bundled model.
"""

from .config import MAX_ENTITIES, SpriteBindConfig
from .dataset import Clip, SpriteBind, is_heldout
from .sprites import BACKGROUNDS, SHAPES, Sprite, paint, saturated

__all__ = [
    "BACKGROUNDS",
    "MAX_ENTITIES",
    "SHAPES",
    "Clip",
    "Sprite",
    "SpriteBind",
    "SpriteBindConfig",
    "is_heldout",
    "paint",
    "saturated",
]
