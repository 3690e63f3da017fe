"""What a model folder's files must pass before any library sees them: no code, no way out, bounds.

Libraries follow what a configuration names: code beside it or on the net, weights in other folders,
tables of any size. So each is read here first, and what names anything is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoints.module_folder import read_json
from ..fields import show

PARTS = ("", "transformer", "vae", "text_encoder", "tokenizer", "image_encoder")


def check_folder(folder: Path) -> None:
    """Read every JSON file of a model folder's parts, and refuse what a library would follow.

    Raises:
        ValueError: if one is no object of bounded size and depth, names code to run, or is an
            index whose shards are not files beside it.
    """
    for part in PARTS:
        for path in sorted((folder / part).glob("*.json")):
            if part or path.name == "model_index.json":
                values = read_json(path)
                _check_code(path, values)
                if path.name.endswith(".index.json"):
                    _check_shards(path, values)


def _check_code(path: Path, values: Mapping[str, Any]) -> None:
    for key in ("auto_map", "custom_pipelines", "quantization_config"):
        if values.get(key):
            raise ValueError(
                f"{str(path)!r} has {key} {show(values[key])}, which asks for code beside the "
                "model's own, expected a plain model without"
            )


def _check_shards(path: Path, values: Mapping[str, Any]) -> None:
    table = values.get("weight_map")
    if not isinstance(table, Mapping) or not table:
        raise ValueError(f"{str(path)!r} has no weight_map, expected the index of shards")
    for name in table.values():
        plain = isinstance(name, str) and Path(name).name == name
        if not plain or "\\" in name or name.startswith("."):
            raise ValueError(
                f"{str(path)!r} names the shard {show(name)}, expected a file beside it"
            )
