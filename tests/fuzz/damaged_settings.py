"""Scenes and configurations with damaged values and damaged text; a function of the seed alone."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from typing import Any

import hostile_paths
import hostile_pictures
import yaml
from PIL import Image
from small_training import SMALL_TRAINING

COMMANDS = {"train": "train", "ablation": "ablation", "evaluate": "evaluate"}
_SCENE: dict[str, Any] = {
    "version": 1,
    "prompt": "a cat and a dog on grass",
    "negative_prompt": "blur",
    "entities": [
        {"id": "cat", "word": "cat", "kind": "object", "images": ["a.png"], "strength": 0.5},
        {"id": "dog", "word": "dog"},
    ],
    "trajectories": hostile_paths.DOCUMENT,
    "sampling": {
        "steps": 1,
        "guidance": 3,
        "seed": 4,
        "scheduler": "ddim",
        "dynamic_guidance": False,
        "motion": {"strength": 0.8, "start": 0.1, "end": 0.9},
        "appearance": {"end": 0.5},
        "unconditional": "zeros",
        "flow": {"mode": "tora", "latents": "drawn"},
    },
}
_NAMES = (
    "../outside/a.png",
    "/etc/passwd",
    "../../outside/secret.json",
    "a\0.png",
    "none.png",
    ".",
)
_ABLATION = {
    "base": "train.yaml",
    "output": "case/run",
    "seeds": [0],
    "splits": ["heldout"],
    "clips": 1,
    "steps": 1,
    "changes": {"optimization": {"steps": 2}},
    "arms": {"none": {"adapter": {"binder": "none"}}, "whole": {}, "b": {"drops": {"caption": 1}}},
}
_EVALUATE = {
    "model": "case/nowhere",
    "output": "case/none/e.json",
    "splits": ["heldout"],
    "data_seed": 1,
    "seeds": [0],
    "clips": 1,
    "steps": 1,
    "guidance": 1.0,
}
_YAML = [
    "&a ",
    "*a",
    "!!python/object/apply:os.system ['touch ran']",
    "<<: *a",
    "!!timestamp x",
    "? ",
]
_YAML += [
    "&a [*a]",
    "- " * 500,
    "{" * 500,
    "|\n",
    "%YAML 9\n",
    "---\n",
    "...\n",
    "1e999",
    ".nan",
    "0x" + "f" * 5000,
]


def scenes(seed: int, count: int) -> Iterator[tuple[str, dict[str, bytes | None]]]:
    """A scene and its picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(buffer, "PNG")
    pictures = [content for _, content in hostile_pictures.cases(seed, 26)]
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        value = hostile_paths.damaged_value(_SCENE, chance)
        picture = buffer.getvalue()
        if chance.random() < 0.2:
            value = json.loads(json.dumps(_SCENE))
            value["entities"][0]["images"] = [chance.choice(_NAMES)]
        elif chance.random() < 0.2:
            value, picture = _SCENE, chance.choice(pictures)
        text = json.dumps(value)
        if chance.random() < 0.2:
            text = hostile_paths.damaged_text(json.dumps(_SCENE), chance)
        yield (
            f"scene {seed}/{number}",
            {
                "scene.json": text.encode("utf-8", "surrogatepass"),
                "a.png": picture,
            },
        )


def configurations(seed: int, count: int) -> Iterator[tuple[str, dict[str, bytes | None]]]:
    """A configuration of one of the commands, and the one that it is based on."""
    training = yaml.safe_load(SMALL_TRAINING.format(output="case/run"))
    plain = {"train": training, "ablation": _ABLATION, "evaluate": _EVALUATE}
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        name = chance.choice(("train", "train", "ablation", "evaluate"))
        value = plain[name]
        if chance.random() < 0.6:
            text = yaml.safe_dump(_writable(hostile_paths.damaged_value(value, chance)))
        else:
            text = _damaged_yaml(yaml.safe_dump(value), chance)
        # The stem of the file says whose it is.
        files: dict[str, bytes | None] = {f"{name}.yaml": text.encode("utf-8", "surrogatepass")}
        if name == "ablation":
            files["base.yml"] = yaml.safe_dump(training).encode()
            files[f"{name}.yaml"] = text.replace("train.yaml", "base.yml").encode(
                "utf-8", "surrogatepass"
            )
        yield f"{name} {seed}/{number}", files


def _writable(value: Any) -> Any:
    """The value, its output where it was, so that no case writes elsewhere by right."""
    if isinstance(value, dict) and isinstance(value.get("output"), str):
        return {**value, "output": "case/none/e.json" if "model" in value else "case/run"}
    return value


def _damaged_yaml(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 2)):
        lines = text.splitlines(keepends=True)
        at = chance.randrange(len(lines))
        key, colon, old = lines[at].partition(": ")
        if colon and chance.random() < 0.7:
            lines[at] = f"{key}: {chance.choice(_YAML)}{chance.choice(('', old))}\n"
        else:
            lines[at] = hostile_paths.damaged_text(lines[at], chance)
        text = "".join(lines)
    return text
