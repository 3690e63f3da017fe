"""A model as one folder: what it says of itself, and a pipeline's parts read from it and written.

`info` is the folder's own description, `gate` what its files must pass before any library sees
them, `libraries` the parts in transformers' and diffusers' layouts, `parts` all of them together.
Which files of a folder hold weights is told in `tora2.checkpoints.folders`.
"""

from ..checkpoints.sources import BUNDLED as TINY
from .info import ModelInfo

__all__ = ["TINY", "ModelInfo"]
