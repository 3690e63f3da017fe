"""Model folders and run folders with damaged files; a function of the seed alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import damaged_checkpoints as checkpoints
import hostile_paths

Files = dict[str, "bytes | None"]
MARK = ".fuzzed"
_LINKS = ("../../../outside/model.safetensors", "/etc/passwd", "../outside/secret.json", "evil.py")
_KEYS = ("auto_map", "tokenizer_file", "vocab_file", "tokenizer_class", "_class_name", "model_type")
_KEYS += ("quantization_config", "init_inputs", "_name_or_path", "weight_map", "architectures")


@cache
def whole(folder: Path) -> dict[str, bytes]:
    """The files of a folder that was prepared, by name."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".png"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def models(seed: int, count: int) -> Iterator[tuple[str, Files]]:
    """Damage to the model folders in the working folder's `case`."""
    originals = whole(Path("case"))
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        kind = chance.choice(("bundled", "cogvideox"))
        files: Files = {f"{kind}/{MARK}": b""}
        for _ in range(chance.choice((1, 1, 1, 2))):
            name = chance.choice([name for name in originals if name.startswith(kind)])
            # Configurations are where most can be said in a few bytes.
            if not name.endswith(".json") and chance.random() < 0.5:
                name = chance.choice(
                    [n for n in originals if n.startswith(kind) and n.endswith(".json")]
                )
            files.update(_damaged(name, originals[name], chance))
        yield f"{kind} {seed}/{number} {[*files][1:]}", files


def runs(seed: int, count: int) -> Iterator[tuple[str, Files]]:
    """Damage to the run in the working folder's `case`."""
    originals = {n: content for n, content in whole(Path("case")).items() if n.startswith("run/")}
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        name = chance.choice([n for n in originals if not n.startswith("run/model/")])
        # What is written anew is put back after the case.
        files: Files = dict(originals)
        files.update(_damaged(name, originals[name], chance))
        yield f"run {seed}/{number} {name}", files


def _damaged(name: str, content: bytes, chance: random.Random) -> Files:
    folder = name.rpartition("/")[0]
    choice = chance.random()
    if choice < 0.05:
        return {name: chance.choice((None, b"", b"{", b"\xff" * 99, bytes(5000)))}
    if choice < 0.12:
        index = (
            f"{folder}/{chance.choice(('model', 'diffusion_pytorch_model'))}.safetensors.index.json"
        )
        target = chance.choice((*_LINKS, *checkpoints.NASTY))
        return {index: json.dumps({"weight_map": {"shared.weight": target, "a": "b"}}).encode()}
    if name.endswith(".json"):
        if choice < 0.3:
            return {name: _with_key(content, chance)}
        return {name: checkpoints.damage(content, "x.json", chance)}
    if name.endswith(".jsonl"):
        return {name: hostile_paths.damaged_bytes(content, chance)}
    return {name: checkpoints.damage(content, name, chance) if content else b"x"}


def _with_key(content: bytes, chance: random.Random) -> bytes:
    value = json.loads(content)
    target = chance.choice((*_LINKS, "evil.Evil", {"AutoTokenizer": ["evil.Evil", None]}, ["evil"]))
    if isinstance(value, dict):
        value[chance.choice(_KEYS)] = chance.choice((target, chance.choice(checkpoints.NASTY)))
    return json.dumps(value).encode()
