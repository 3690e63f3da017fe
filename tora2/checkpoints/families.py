"""The video models beside CogVideoX whose transformers are read: names and sizes of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from .assigning import check_plain
from .cogvideox_keys import TransformerNames
from .folders import read_transformer_weights
from .latte_keys import convert_latte, count_latte_layers, find_latte, latte_config
from .wan_keys import convert_wan, count_wan_blocks, find_wan, wan_config
from .weights import Weights


@dataclass(frozen=True)
class Family:
    """A video model's transformers on disk.

    Attributes:
        name: in words.
        find: which layout's names some tensors have, and what stands before them; or None.
        convert: a whole transformer's tensors under the names of another layout.
        configure: from tensors in diffusers' names and a config.json, the arguments of diffusers'
            class.
        count: blocks among names without a prefix, or pairs of them.
        entry: the weights that latents meet first.
    """

    name: str
    find: Callable[[Iterable[str]], TransformerNames | None]
    convert: Callable[[Mapping[str, Tensor], str], dict[str, Tensor]]
    configure: Callable[[Mapping[str, Tensor], Mapping[str, object] | None], dict[str, object]]
    count: Callable[[Iterable[str]], int]
    entry: str

    def read(
        self, weights: Weights, to: str = "diffusers"
    ) -> tuple[dict[str, object], dict[str, Tensor]]:
        """The arguments of diffusers' class, and the tensors under the names of a layout.

        Raises:
            ValueError: if these weights hold no such transformer, or not plain numbers.
        """
        found = self.find(weights.tensors)
        if found is None:
            raise ValueError(f"{weights.path} holds no {self.name} transformer")
        inside = {n: t for n, t in weights.tensors.items() if n.startswith(found.prefix)}
        check_plain(weights.path, inside)
        try:
            tensors = self.convert(inside, "diffusers")
            config = self.configure(tensors, weights.config)
            return config, tensors if to == "diffusers" else self.convert(tensors, to)
        except ValueError as error:
            raise ValueError(f"{weights.path}: {error}") from None


WAN = Family(
    "Wan 2.1", find_wan, convert_wan, wan_config, count_wan_blocks, "patch_embedding.weight"
)
LATTE = Family(
    "Latte", find_latte, convert_latte, latte_config, count_latte_layers, "pos_embed.proj.weight"
)


def family_of(names: Iterable[str]) -> Family | None:
    """Whose transformer is among tensor names; None for none and for CogVideoX's."""
    known = set(names)
    return next((family for family in (WAN, LATTE) if family.find(known) is not None), None)


def read_family(
    path: str | os.PathLike[str], family: Family
) -> tuple[dict[str, object], dict[str, Tensor]]:
    """See `Family.read`; a file or folder.

    Raises:
        ValueError: as there; OSError: if the file is missing or not readable.
    """
    return family.read(read_transformer_weights(path))
