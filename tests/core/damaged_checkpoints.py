"""Checkpoints of every layout, damaged: `python damaged_checkpoints.py FOLDER SEED COUNT`.

Seed 0 begins with those that would take the most memory and time; the others are random. Each is
given to everything that reads checkpoints. Whatever ends in anything but a result, or a ValueError
or OSError of one short printable line, is printed, as is the memory that was taken.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import resource
import struct
import sys
import traceback
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import torch
from safetensors.torch import save

from tora2.checkpoints import inspect, load_adapter, read_transformer, save_adapter
from tora2.doctor import scan
from tora2.models.adapter import Tora2Adapter, Tora2Config

LENGTH = 600  # characters of a sentence
GROWTH = 300  # MiB, in one reading
Files = dict[str, bytes]

NASTY: list[object] = [
    None,
    True,
    -1,
    0,
    3,
    65_536,
    2**31,
    2**62,
    2**63,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    "F32",
    "\x1b[31m\r\nred\u202e\x00\ud800",
    "../../x",
    "x" * 100_000,
    [],
    {},
    [None],
    [2**40, 2**40],
    [0] * 100,
    [[[]]],
    {"a": {"a": 1}},
]
PROGRAMS = [
    b"c__builtin__\nbytearray\nJ\x00\x00\x00\x7f\x85R",
    b"c__builtin__\nset\n]\x85R",
    b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R",
    b"ctorch._utils\n_rebuild_tensor_v2\n)R",
    b"(" * 1000 + b"t" * 1000,
    b"]q\x01h\x01a",
    b"\x8a\xff" + bytes(255),
    b"}(" + b"".join(pickle.dumps((2**61 - 1) * i, 2)[2:-1] + b"N" for i in range(2000)) + b"u",
    b"X\x05\x00\x00\x00\x1b[31m",
]


def transformer() -> dict[str, torch.Tensor]:
    """A CogVideoX transformer of one block under diffusers' names."""
    dim, time, text = 64, 8, 8
    linear = {
        "patch_embed.text_proj": (dim, text),
        "time_embedding.linear_1": (time, dim),
        "time_embedding.linear_2": (time, time),
        "norm_out.linear": (2 * dim, time),
        "proj_out": (64, dim),
    }
    block = {
        "norm1.linear": (6 * dim, time),
        "norm2.linear": (6 * dim, time),
        "ff.net.0.proj": (4 * dim, dim),
        "ff.net.2": (dim, 4 * dim),
        **{f"attn1.{part}": (dim, dim) for part in ("to_q", "to_k", "to_v", "to_out.0")},
    }
    norms = ("norm_final", "norm_out.norm")
    inside = {"norm1.norm": 64, "norm2.norm": 64, "attn1.norm_q": 64, "attn1.norm_k": 64}
    shapes = {
        "patch_embed.proj": (dim, 16, 2, 2),
        **linear,
        **{name: (dim,) for name in norms},
        **{f"transformer_blocks.0.{name}": shape for name, shape in block.items()},
        **{f"transformer_blocks.0.{name}": (size,) for name, size in inside.items()},
    }
    weights = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    return weights | {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}


def layouts() -> dict[str, Files]:
    """Small whole checkpoints, as files by name."""
    motion = Tora2Adapter(
        Tora2Config(dim=32, layers=2, feature_dim=8, latent_channels=4, capabilities=("motion",))
    ).state_dict()
    names = {"transformer_blocks.": "blocks.", "attn1.to_out.0": "attn_out", "attn1.to_": ""}
    names |= {"attn1.": "", "ff.net.0.proj": "ff_proj", "ff.net.2": "ff_out"}
    base = transformer()
    comfy = {}
    for name, tensor in base.items():
        for old, new in names.items():
            name = name.replace(old, new)
        comfy[name.replace("embedding.linear", "embedding_linear")] = tensor
    fuser = {n.removeprefix("fuser."): t for n, t in motion.items() if n.startswith("fuser.")}
    extractor = {
        n.removeprefix("extractor."): t for n, t in motion.items() if n.startswith("extractor.")
    }
    sat = {
        **{f"model.diffusion_model.mixins.adaln_layer.fuser_list.{n}": t for n, t in fuser.items()},
        **{f"model.diffusion_model.traj_extractor.{n}": t for n, t in extractor.items()},
    }
    own = io.BytesIO()
    torch.save({"module": sat, "iteration": 7, "rng": random.Random(0).getstate()}, own)
    half = len(base) // 2
    shards = {
        "model-00001-of-00002.safetensors": dict(list(base.items())[:half]),
        "model-00002-of-00002.safetensors": dict(list(base.items())[half:]),
    }
    index = {name: file for file, part in shards.items() for name in part}
    sizes = {"sample_width": 90, "sample_height": 60, "sample_frames": 49, "patch_size": 2}
    return {
        "own": {"x.safetensors": _own()},
        "comfy": {"x.safetensors": save(comfy)},
        "split": {
            "fuser/fuser.safetensors": save(fuser),
            "traj_extractor/traj_extractor.safetensors": save(extractor),
        },
        "sat": {"mp_rank_00_model_states.pt": own.getvalue()},
        "shards": {
            **{name: save(part) for name, part in shards.items()},
            "model.safetensors.index.json": json.dumps({"weight_map": index}).encode(),
            "config.json": json.dumps(sizes).encode(),
        },
    }


def _own() -> bytes:
    widths = dict.fromkeys(("dim", "attention_dim", "qformer_dim", "context_dim", "word_dim"), 32)
    few = {"layers": 2, "qformer_depth": 1, "attention_heads": 1, "qformer_heads": 1}
    config = Tora2Config.preset("tiny", **widths, **few, binder_heads=1)
    path = Path(f"own-{os.getpid()}.safetensors")
    save_adapter(Tora2Adapter(config), path, {"trained": "for a test"})
    content = path.read_bytes()
    path.unlink()
    return content


def damage(content: bytes, name: str, chance: random.Random) -> bytes:
    """One file with one or a few faults."""
    kinds: list[Callable[[bytes, random.Random], bytes]] = [flip, cut]
    if name.endswith(".safetensors"):
        kinds += [header] * 6 + [settings] * 3
    elif name.endswith(".pt"):
        kinds += [program] * 6
    else:
        kinds += [values] * 6
    return chance.choice(kinds)(content, chance)


def flip(content: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, most of them where the structure is."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        place = chance.choice((16, 4096, len(changed))) if changed else 0
        at = chance.randrange(min(place, len(changed))) * chance.choice((1, -1))
        changed[at] = chance.choice((0, 0xFF, chance.randrange(256)))
    return bytes(changed)


def cut(content: bytes, chance: random.Random) -> bytes:
    """An end missing, or some other end in its place."""
    return content[: chance.randrange(len(content))] + chance.choice((b"", bytes(1000)))


def values(content: bytes, chance: random.Random) -> bytes:
    """JSON with a value exchanged, added or taken away."""
    try:
        value = json.loads(content)
    except ValueError:
        return content
    return json.dumps(_exchange(value, chance)).encode()


def _exchange(value: object, chance: random.Random) -> object:
    nasty = chance.choice(NASTY)
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        match chance.randrange(6):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, str(nasty)[:2000]: value[key]}
            case 2:
                renamed = key.replace(".0.", chance.choice((".1.", ".999.", ".65535.")), 1)
                return {renamed if k == key else k: v for k, v in value.items()}
        return {**value, key: _exchange(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.5:
        at = chance.randrange(len(value))
        return [*value[:at], _exchange(value[at], chance), *value[at + 1 :]]
    return nasty


def header(content: bytes, chance: random.Random) -> bytes:
    """A safetensors file whose header was changed; the values stay where they are."""
    (length,) = struct.unpack_from("<Q", content)
    text = content[8 : 8 + length]
    for _ in range(chance.randint(1, 3)):
        text = values(text, chance)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def settings(content: bytes, chance: random.Random) -> bytes:
    """Our own adapter with another configuration."""
    (length,) = struct.unpack_from("<Q", content)
    entries = json.loads(content[8 : 8 + length])
    config = json.loads(entries.get("__metadata__", {}).get("tora2_config", "{}"))
    changed = json.dumps(_exchange(config, chance))
    note = str(chance.choice(NASTY))[:5000]
    entries["__metadata__"] = {**entries.get("__metadata__", {}), "note": note}
    entries["__metadata__"] |= {"tora2_config": changed} if config else {}
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def program(content: bytes, chance: random.Random) -> bytes:
    """A torch file with another pickle, its checksums made right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name.endswith("data.pkl"):
                at = chance.randrange(2, len(part))
                insert = chance.choice((*PROGRAMS, b"", b"")) + chance.choice((b"", b"0"))
                part = part[:at] + insert + part[at + chance.choice((0, 0, 1, 5)) :]
                part = flip(part, chance) if chance.random() < 0.5 else part
            elif chance.random() < 0.01:
                continue
            new.writestr(name, part)
    return out.getvalue()


def heavy() -> Iterator[tuple[str, Files]]:
    """What would take the most memory or time, each once."""

    def safetensors(text: bytes) -> Files:
        return {"x.safetensors": struct.pack("<Q", len(text)) + text}

    def torch_file(part: bytes) -> Files:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            file.writestr("archive/data.pkl", b"\x80\x02" + part + b".")
        return {"mp_rank_00_model_states.pt": out.getvalue()}

    entry = b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    many = b",".join(b'"fuser.%d.flow_gamma_spatial.weight":%s' % (i, entry) for i in range(5000))
    blocks = b",".join(b'"extractor.body.%d.x":%s' % (i, entry) for i in range(16_000))
    config = json.dumps({"layers": 1000, "extractor_blocks": 2, "qformer_depth": 64})
    own = b'"__metadata__":{"format":"tora2","version":"1","tora2_config":%s}'
    metadata = own % json.dumps(config).encode()
    yield "lists", safetensors(b'{"a":[' + b"[]," * 5_000_000 + b"[]]}")
    yield "objects", safetensors(b'{"a":[' + b"{}," * 5_000_000 + b"{}]}")
    yield "keys", safetensors(b"{" + b",".join(b'"%d":0' % i for i in range(300_000)) + b"}")
    yield "repeated", safetensors(b"{" + b'"a":0,' * 1_000_000 + b'"a":0}')
    yield "name", safetensors(b'{"' + b"a.fuser.1.flow_" * 1_000_000 + b'":%s}' % entry)
    yield "fusers", safetensors(b"{" + many + b"}")
    yield "blocks", safetensors(b"{" + blocks + b"}")
    yield "adapter", safetensors(b"{" + metadata + b"," + blocks + b"}")
    yield "bare adapter", safetensors(b"{" + metadata + b"}")
    yield "lists pickled", torch_file(b"]" * 1_000_000)
    yield "tuples pickled", torch_file(b")" + b"\x85" * 490_000)
    yield "dictionaries pickled", torch_file(b"}" * 490_000)
    yield "bytes", torch_file(b"c__builtin__\nbytearray\nJ\x00\x00\x00\x7f\x85R")
    yield "index", {"model.safetensors.index.json": b'{"weight_map":{"a":[' + b"[]," * 2_000_000}
    yield "config", {"x.safetensors": save({"a": torch.zeros(1)}), "config.json": b"[" * 10**6}


def cases(seed: int, count: int) -> Iterator[tuple[str, Files]]:
    """Checkpoints, most of them with one damaged file."""
    whole = layouts()
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        layout = chance.choice(list(whole))
        files = dict(whole[layout])
        name = chance.choice(list(files))
        files[name] = damage(files[name], name, chance)
        yield f"{layout} {number}", files


def attempt(read: Callable[[str], object], path: str) -> str:
    """What is wrong with how a checkpoint is read; empty if nothing is."""
    try:
        said = [str(read(path))]
    except (ValueError, OSError) as error:
        said = [str(error)]
        if len(said[0]) > LENGTH:
            return f"{len(said[0])} characters: {said[0][:LENGTH]!r}"
        if not said[0].isprintable() or not said[0]:
            return f"not one printable line: {said[0]!r}"
    except BaseException:
        return traceback.format_exc(limit=-3)
    lines = said[0].splitlines()
    unclean = [line[:200] for line in lines if len(line) > 5000 or not line.isprintable()]
    return f"unclean report: {unclean[0]!r}" if unclean else ""


def doctor(path: str) -> object:
    """Every sentence that the doctor has about a folder."""
    (seen,) = scan([Path(path)])
    phrases = [phrase for found in seen.found for phrase in (*found.holds, *found.notes)]
    return "\n".join((*seen.unreadable, *seen.notes, *phrases))


def run(folder: Path, seed: int, count: int) -> list[str]:
    """Read every case by everything that reads, and say what went wrong."""
    loaders: dict[str, Callable[[str], object]] = {
        "load_adapter": lambda path: load_adapter(path).config.dim,
        "read_transformer": lambda path: len(read_transformer(path)[1]),
        "inspect": lambda path: f"{inspect(path)}",
    }
    wrong: list[str] = []
    os.chdir(folder)
    place = Path("case")
    first = ((label, files, ["load_adapter"]) for label, files in heavy()) if not seed else ()
    others = ((label, files, list(loaders)) for label, files in cases(seed, count))
    for label, files, names in chain(first, others):
        for name, content in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        file = next(place / name for name in files)
        paths = (place, file) if len(names) > 1 else (place,)
        tasks = [(name, loaders[name], path) for name in names for path in paths]
        for name, read, path in (*tasks, ("doctor", doctor, place)):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if said := attempt(read, str(path)):
                wrong.append(f"{label}, {name} of {path}: {said}")
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
            if grown > GROWTH:
                wrong.append(f"{label}, {name} of {path}: took {grown} MiB")
        for name in files:
            (place / name).unlink()
    return wrong


if __name__ == "__main__":
    faults = run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print(*faults, sep="\n")
    sys.exit(bool(faults))
