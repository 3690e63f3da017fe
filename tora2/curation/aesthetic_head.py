"""The public predictor of how much people like a picture, over CLIP's embedding.

Several linear layers in a row without anything between them (its dropout is for training), so what
is trained is one linear map; github.com/christophschuhmann/improved-aesthetic-predictor.
"""

from __future__ import annotations

import os
import re

import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints.weights import read_file

_EXPECTED = "the linear layers of improved-aesthetic-predictor, from CLIP's width to one number"
_LAYER = re.compile(r"(?:layers\.(\d{1,2})\.|)(weight|bias)")


class AestheticHead(nn.Module):
    """Scores, about 1 to 10, of CLIP's image embeddings.

    Args:
        state: `layers.<n>.weight` and `.bias` of several layers, or `weight` and `bias` of one.

    Raises:
        ValueError: if they do not lead from one width to a single number.
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        parts: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            found = _LAYER.fullmatch(key)
            if found is None:
                raise ValueError(f"it has {key!r}, expected {_EXPECTED}")
            parts.setdefault(int(found[1] or 0), {})[found[2]] = value
        self.layers = nn.ModuleList(_linear(parts[place]) for place in sorted(parts))
        widths = [(layer.in_features, layer.out_features) for layer in self.layers]
        joined = all(a[1] == b[0] for a, b in zip(widths, widths[1:], strict=False))
        if not widths or not joined or widths[-1][1] != 1:
            raise ValueError(f"its layers are {widths}, expected {_EXPECTED}")
        self.width = widths[0][0]

    def forward(self, embeddings: Tensor) -> Tensor:
        """[N, D] embeddings of any length to [N] scores."""
        result = F.normalize(embeddings, dim=-1)
        for layer in self.layers:
            result = layer(result)
        return result[:, 0]


def read_head(path: str | os.PathLike[str]) -> AestheticHead:
    """The head of a torch or safetensors file.

    Raises:
        ValueError: in words, if the file holds anything else.
        OSError: if it cannot be read.
    """
    try:
        tensors = dict(read_file(path).tensors)
        return AestheticHead({key: value.float() for key, value in tensors.items()}).eval()
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} is no aesthetic head: {error}") from None


def _linear(part: dict[str, Tensor]) -> nn.Linear:
    weight, bias = part.get("weight"), part.get("bias")
    if weight is None or bias is None or weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ValueError(f"a layer lacks its weight or bias, expected {_EXPECTED}")
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer.requires_grad_(False)
