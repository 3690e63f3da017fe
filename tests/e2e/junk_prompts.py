"""API prompts with damaged inputs; a function of the seed alone."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TWINS = [json.loads(p.read_text()) for p in sorted(Path(__file__).with_name("api").glob("*.json"))]
# The host does not look at links to outputs that no node has, nor at any link of an input that the
# node does not know: with whatever nodes, its thread ends when it follows them.
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 3, 48, 10**18, 2**63, 10**400, 0.5, -0.0, 1e-320, 1e308, 1e30),
    *("", "NaN", "x" * 100_000, "\x1b[2J\n", "\ud800", "../../../etc/passwd", "/etc/passwd"),
    *("tiny.safetensors", "circle.png", "\x00", "[" * 5000, '{"version": 2}', "<svg>"),
    *([], {}, [[]], [1, 2, 3], ["1"], ["99", 0], [None, 0]),
    *({"a": 1}, {"version": -1}, [{"x": 1}] * 500, {"__value__": [1, 2]}),
)
_KINDS = ("Tora2Sampler", "Tora2Bind", "Tora2Nothing", "", None, 7, "PreviewAny")


def cases(seed: int, count: int) -> Iterator[tuple[str, Any]]:
    """(what it is, the prompt), `count` of them; those that are right take seconds to run."""
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        prompt = copy.deepcopy(chance.choice(TWINS))
        for node in prompt.values():
            if "steps" in node["inputs"]:
                node["inputs"]["steps"] = 1
        changes = [_damage(prompt, chance) for _ in range(chance.choice((1, 1, 2)))]
        yield f"prompt {seed}/{number} {', '.join(changes)}"[:200], prompt


def _damage(prompt: dict[str, Any], chance: random.Random) -> str:
    name = chance.choice([*prompt])
    # The host's own nodes answer for themselves.
    ours = [n for n in prompt if str(prompt[n].get("class_type")).startswith("Tora2")]
    name = chance.choice(ours or [name])
    node = prompt[name]
    match chance.randrange(12):
        case 0:
            node["class_type"] = chance.choice(_KINDS)
        case 1:
            del prompt[name]
        case 2:
            node["inputs"] = chance.choice(({}, {"x": 1}))
        case 3 if node["inputs"]:
            del node["inputs"][chance.choice([*node["inputs"]])]
        case 4:
            plain = [value for value in _VALUES if not isinstance(value, list)]
            node["inputs"][chance.choice(("x", "entities.entity7"))] = chance.choice(plain)
        case _ if node["inputs"]:
            key = chance.choice([*node["inputs"]])
            value = node["inputs"][key]
            if isinstance(value, dict) and value and chance.random() < 0.8:
                _deep(value, chance)
            else:
                node["inputs"][key] = _value(chance)
            return f"{node['class_type']}.{key}"
    return f"{node.get('class_type')}"


def _deep(value: Any, chance: random.Random) -> None:
    if "__value__" in value:  # ComfyUI 0.33 wraps so; a link in it, to any node, ends its worker
        return
    while True:
        key = chance.choice([*value]) if isinstance(value, dict) else chance.randrange(len(value))
        if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.8:
            value = value[key]
            continue
        value[key] = _value(chance)
        return


def _value(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(_VALUES))
