"""What a weight file is for, told by its tensors' names and shapes; nothing but names is read."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints import inspect
from ..checkpoints.adapter_format import is_own
from ..checkpoints.cogvideox_config import BLOCKS, CHANNELS, IMAGE_TO_VIDEO, TEXT_TO_VIDEO, task_of
from ..checkpoints.inspection import Inspection
from ..checkpoints.recognition import Holding, Kind, recognise
from ..checkpoints.shards import shard_of
from ..checkpoints.torch_pickle import read_member, zip_entries
from ..checkpoints.weights import is_gguf, is_torch_zip, look
from ..checkpoints.words import brief, complaint
from ..fields import plain
from ..geometry import COGVIDEOX
from . import tasks

T5_XXL = (32_128, 4096)
DINO_DIM = 1024
MAX_PICKLE = 64 * 1024 * 1024
MAX_START = 8 * 1024 * 1024
GGUF = (
    "a CogVideoX transformer as GGUF: only a GGUF loader of the host that knows CogVideoX reads "
    "it, and then Tora2 Apply takes its MODEL"
)
SAT_VAE = "in SAT's names, which neither ComfyUI nor the library reads: take another file"

_ROLES = {TEXT_TO_VIDEO: tasks.TEXT_TO_VIDEO, IMAGE_TO_VIDEO: tasks.IMAGE_TO_VIDEO}
_SAT_VAE = b"decoder.mid.block_1.norm1.conv_y"
_MASK_RCNN = b"roi_heads.mask_predictor"
_TORA = (b"attention.query_key_value", b"fuser_list", b"traj_extractor")


@dataclass(frozen=True)
class Found:
    """A file or folder that holds something of ours.

    Attributes:
        path: where it is.
        bytes: its size.
        holds: what is in it, a phrase each.
        enables: of an adapter, of motion, appearance, binding.
        roles: keys of `tasks.ROLES` that it fills.
        notes: what else is good to know, a sentence each.
    """

    path: str
    bytes: int
    holds: tuple[str, ...]
    enables: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def units(files: Iterable[Path]) -> list[tuple[Path, ...]]:
    """Files that belong together: the shards of a model, ONNX networks of a folder, or one."""
    together: dict[tuple[Path, object], list[Path]] = {}
    for file in files:
        name: object = shard_of(file) or file.name
        name = ".onnx" if file.suffix.lower() == ".onnx" else name
        together.setdefault((file.parent, name), []).append(file)
    return [tuple(sorted(group)) for group in together.values()]


def examine_files(files: Sequence[Path]) -> Found | None:
    """What one of `units` is, or None if it is nothing of ours.

    Raises:
        ValueError: with one sentence, if it is damaged.
        OSError: if it is not readable.
    """
    file = files[0]
    if file.suffix.lower() == ".onnx":
        return _onnx(files)
    if is_gguf(file):
        return _gguf(file)
    if file.suffix.lower() in (".safetensors", ".sft"):
        return _safetensors(files)
    return _pickled(file)


def _safetensors(files: Sequence[Path]) -> Found | None:
    shapes: dict[str, tuple[int, ...]] = {}
    own = False
    for file in files:
        header = look(file)
        if header is None:
            return _pickled(file)
        shapes |= {name: entry.shape for name, entry in header.entries.items()}
        own = own or is_own(header.metadata)
    size = sum(file.stat().st_size for file in files)
    sharded = shard_of(files[0]) is not None
    path = files[0].parent if sharded else files[0]
    try:
        holdings = recognise(shapes, own)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    held = {holding.kind: holding for holding in holdings}
    transformer = held.get(Kind.TRANSFORMER)
    if transformer and transformer.scaled and transformer.layout == "comfy" and not sharded:
        return _scaled(transformer, path, size)
    if held.keys() & {Kind.ADAPTER, Kind.TRANSFORMER, Kind.MOTION}:
        return _inspected(path, size)
    for kind, judge in _OTHERS.items():
        found = judge(held[kind], path, size, sharded) if kind in held else None
        if found is not None:
            return found
    return None


def _inspected(path: Path, size: int) -> Found:
    seen = inspect(path)
    notes = tuple(filter(None, map(complaint, seen.holdings)))
    return Found(str(path), size, seen.holds, seen.capabilities, _roles(seen), notes)


def _scaled(transformer: Holding, path: Path, size: int) -> Found:
    """A transformer in the host's own 8-bit format, which only the host's loader reads."""
    roles = _transformer_roles(transformer) if len(transformer.entry) == 4 else ()
    note = "scaled 8-bit weights, for Tora2 Load Model; the library does not read them"
    return Found(str(path), size, (brief(transformer),), roles=roles, notes=(note,))


def _roles(seen: Inspection) -> tuple[str, ...]:
    roles = [
        role
        for holding in seen.holdings
        if holding.kind is Kind.TRANSFORMER and not holding.trouble
        for role in _transformer_roles(holding)
    ]
    if (seen.sizes.get("dim"), seen.sizes.get("layers")) == (CHANNELS, BLOCKS):
        roles += [tasks.MOTION] if "motion" in seen.capabilities else []
        roles += [tasks.APPEARANCE] if "appearance" in seen.capabilities else []
    return tuple(roles)


def _transformer_roles(transformer: Holding) -> tuple[str, ...]:
    channels, given, *_ = transformer.entry
    role = _ROLES.get(task_of(given))
    fits = (channels, transformer.blocks) == (CHANNELS, BLOCKS)
    return (role,) if fits and role else ()


def _text_encoder(held: Holding, path: Path, size: int, sharded: bool) -> Found | None:
    if held.entry != T5_XXL:
        return None
    if sharded:
        note = "in shards, as the library reads it; ComfyUI's Load CLIP needs one file"
        return Found(str(path), size, ("the T5-XXL text encoder",), notes=(note,))
    return Found(str(path), size, ("the T5-XXL text encoder",), roles=(tasks.TEXT_ENCODER,))


def _vae(held: Holding, path: Path, size: int, sharded: bool) -> Found | None:
    if held.layout == "sat":
        return Found(str(path), size, (brief(held),), notes=(SAT_VAE,))
    if held.entry[1:2] != (COGVIDEOX.channels,):
        return None
    return Found(str(path), size, (brief(held),), roles=(tasks.VAE,))


def _semantic(held: Holding, path: Path, size: int, sharded: bool) -> Found:
    if held.entry[0] != DINO_DIM:
        note = f"adapters of the preset 5b take {DINO_DIM} channels (facebook/dinov2-large)"
        return Found(str(path), size, (brief(held),), notes=(note,))
    return Found(str(path), size, (brief(held),), roles=(tasks.SEMANTIC,))


_OTHERS: dict[Kind, Callable[[Holding, Path, int, bool], Found | None]] = {
    Kind.TEXT_ENCODER: _text_encoder,
    Kind.VAE: _vae,
    Kind.SEMANTIC: _semantic,
}


def _pickled(file: Path) -> Found | None:
    """A torch file, if the names in its pickle are ours; only then is it read, weights-only."""
    names = _names_in_pickle(file)
    size = file.stat().st_size
    if any(word in names for word in _TORA) and is_torch_zip(file):
        return _inspected(file, size)
    if _SAT_VAE in names:
        return Found(str(file), size, (brief(Holding(Kind.VAE)),), notes=(SAT_VAE,))
    if _MASK_RCNN in names:
        return Found(str(file), size, ("Mask R-CNN, for things",), roles=(tasks.IDENTITY,))
    return None


def _names_in_pickle(file: Path) -> bytes:
    """The bytes that a torch file's tensor names are among; none if it is no torch file."""
    try:
        if not zipfile.is_zipfile(file):  # torch before 1.6 wrote the pickle first, then the values
            with file.open("rb") as opened:
                return opened.read(MAX_START)
        pickles = [entry for entry in zip_entries(file) if entry.filename.endswith("data.pkl")]
        stored = pickles and pickles[0].compress_type == zipfile.ZIP_STORED  # as torch writes
        if len(pickles) != 1 or not stored or pickles[0].file_size > MAX_PICKLE:
            return b""
        return read_member(file, pickles[0])
    except (ValueError, zipfile.BadZipFile):  # what is damaged does not tell whether it was ours
        return b""


def _gguf(file: Path) -> Found | None:
    with file.open("rb") as opened:
        header = opened.read(MAX_START)
    if b"patch_embed.text_proj" not in header:
        return None
    return Found(str(file), file.stat().st_size, (GGUF,))


def _onnx(files: Sequence[Path]) -> Found | None:
    """ONNX networks by their folder, as Tora2 Load Encoders takes them."""
    folder = files[0].parent
    kinds: dict[str, str] = {
        "insightface": "networks for faces",
        "detection": "networks for things",
    }
    kind = next((words for name, words in kinds.items() if name in folder.parts), None)
    if kind is None:
        return None
    held = f"{len(files)} ONNX {kind}: {', '.join(plain(file.name) for file in files)}"
    size = sum(file.stat().st_size for file in files)
    return Found(str(folder), size, (held,), roles=(tasks.IDENTITY,))
