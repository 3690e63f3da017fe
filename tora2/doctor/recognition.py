"""What a weight file is for, told by its tensors' names and shapes; nothing but names is read."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..checkpoints import inspect
from ..checkpoints.assigning import SCALED
from ..checkpoints.cogvideox_keys import find_transformer
from ..checkpoints.inspection import Inspection
from ..checkpoints.weights import is_gguf, read_file
from . import tasks

Shapes = dict[str, tuple[int, ...]]

DIM, BLOCKS = 3072, 42
T5_SHAPE = (32_128, 4096)
DINO_DIM = 1024
MAX_PICKLE = 64 * 1024 * 1024
MAX_START = 8 * 1024 * 1024
GGUF = (
    "a CogVideoX transformer as GGUF: only a GGUF loader of the host that knows CogVideoX reads "
    "it, and then Tora2 Apply takes its MODEL"
)

_KINDS = {16: tasks.TEXT_TO_VIDEO, 32: tasks.IMAGE_TO_VIDEO}  # by the channels that come in
_TELLING = (
    "patch_embed.proj.weight",
    "shared.weight",
    "encoder.embed_tokens.weight",
    "layer.0.SelfAttention.q.weight",
    "decoder.conv_in.conv.weight",
    "decoder.mid_block.resnets.0.norm1.norm_layer.weight",
    "embeddings.patch_embeddings.projection.weight",
    "layer_scale1.lambda1",
)
_SAT_VAE = b"decoder.mid.block_1.norm1.conv_y"
_MASK_RCNN = b"roi_heads.mask_predictor"
_TORA = (b"attention.query_key_value", b"fuser_list", b"traj_extractor")
_SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})")


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
    together: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        shard = _SHARD.fullmatch(file.stem)
        name = f"{shard[1]} of {shard[2]}" if shard else file.name
        name = ".onnx" if file.suffix.lower() == ".onnx" else name
        together.setdefault((file.parent, name), []).append(file)
    return [tuple(sorted(group)) for group in together.values()]


def recognise(files: Sequence[Path]) -> Found | None:
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
    shapes: Shapes = {}
    names: list[str] = []
    own = False
    for file in files:
        inside, told, is_own = _look(file)
        names += inside
        shapes |= told
        own = own or is_own
    size = sum(file.stat().st_size for file in files)
    sharded = _SHARD.fullmatch(files[0].stem) is not None
    path = files[0].parent if sharded else files[0]
    if any(name.endswith(SCALED) for name in names) and not sharded:
        found = _scaled(names, shapes, path, size)
        if found is not None:
            return found
    if own or _has_ours(names):
        return _inspected(path, size)
    for kind in (_text_encoder, _vae, _semantic):
        found = kind(shapes, path, size, sharded)
        if found is not None:
            return found
    return None


def _look(file: Path) -> tuple[list[str], Shapes, bool]:
    """A file's names, the shapes that tell other models, and whether it is our own adapter."""
    try:
        with safe_open(str(file), framework="pt") as opened:
            names = list(opened.keys())
            told = [name for name in names if name.endswith(_TELLING)]
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in told}
            return names, shapes, "tora2_config" in (opened.metadata() or {})
    except SafetensorError as error:
        read_file(file)  # says what is wrong with it
        raise ValueError(f"{file} is damaged ({error})") from None


def _has_ours(names: Sequence[str]) -> bool:
    return find_transformer(names) is not None or any(
        "flow_gamma_spatial" in name or name.endswith("body.0.bn1.running_mean") for name in names
    )


def _inspected(path: Path, size: int) -> Found:
    seen = inspect(path)
    halves = [sentence for sentence in seen.missing if "holds only" in sentence]
    notes = (*halves, *(note for note in seen.notes if "cannot be used" in note))
    return Found(str(path), size, seen.holds, seen.capabilities, _roles(seen), notes)


def _scaled(names: Sequence[str], shapes: Shapes, path: Path, size: int) -> Found | None:
    """A transformer in the host's own 8-bit format, which only the host's loader reads."""
    transformer = find_transformer(names)
    if transformer is None or transformer.layout != "comfy":
        return None
    entry = shapes.get(f"{transformer.prefix}patch_embed.proj.weight", ())
    whole = f"{transformer.prefix}blocks.{BLOCKS - 1}.attn_out.weight" in names
    fits = whole and len(entry) == 4 and entry[0] == DIM
    roles = (_KINDS[entry[1]],) if fits and entry[1] in _KINDS else ()
    note = "scaled 8-bit weights, for Tora2 Load Model; the library does not read them"
    return Found(str(path), size, (str(transformer),), roles=roles, notes=(note,))


def _roles(seen: Inspection) -> tuple[str, ...]:
    sizes: Mapping[str, object] = seen.sizes
    roles = []
    if (sizes.get("channels"), sizes.get("blocks")) == (DIM, BLOCKS):
        roles += [role for count, role in _KINDS.items() if sizes.get("in_channels") == count]
    if (sizes.get("dim"), sizes.get("layers")) == (DIM, BLOCKS):
        roles += [tasks.MOTION] if "motion" in seen.capabilities else []
        roles += [tasks.APPEARANCE] if "appearance" in seen.capabilities else []
    return tuple(roles)


def _text_encoder(shapes: Shapes, path: Path, size: int, sharded: bool) -> Found | None:
    if not any(name.endswith("layer.0.SelfAttention.q.weight") for name in shapes):
        return None
    names = ("shared.weight", "encoder.embed_tokens.weight")
    if T5_SHAPE not in (shape for name, shape in shapes.items() if name.endswith(names)):
        return None
    if sharded:
        note = "in shards, as the library reads it; ComfyUI's Load CLIP needs one file"
        return Found(str(path), size, ("the T5-XXL text encoder",), notes=(note,))
    return Found(str(path), size, ("the T5-XXL text encoder",), roles=(tasks.TEXT_ENCODER,))


def _vae(shapes: Shapes, path: Path, size: int, sharded: bool) -> Found | None:
    entry = shapes.get("decoder.conv_in.conv.weight", ())
    norm = "decoder.mid_block.resnets.0.norm1.norm_layer.weight"
    if norm not in shapes or len(entry) != 5 or entry[1] != 16:
        return None
    return Found(str(path), size, ("a CogVideoX VAE",), roles=(tasks.VAE,))


def _semantic(shapes: Shapes, path: Path, size: int, sharded: bool) -> Found | None:
    patches = shapes.get("embeddings.patch_embeddings.projection.weight", ())
    if not patches or not any("layer_scale1" in name for name in shapes):
        return None
    held = (f"a DINOv2 of {patches[0]} channels",)
    if patches[0] != DINO_DIM:
        note = f"adapters of the preset 5b take {DINO_DIM} channels (facebook/dinov2-large)"
        return Found(str(path), size, held, notes=(note,))
    return Found(str(path), size, held, roles=(tasks.SEMANTIC,))


def _pickled(file: Path) -> Found | None:
    """A torch file, if the names in its pickle are ours; only then is it read, weights-only."""
    names = _names_in_pickle(file)
    size = file.stat().st_size
    if any(word in names for word in _TORA) and zipfile.is_zipfile(file):
        return _inspected(file, size)
    if _SAT_VAE in names:
        note = "in SAT's names, which neither ComfyUI nor the library reads: take another file"
        return Found(str(file), size, ("a CogVideoX VAE",), notes=(note,))
    if _MASK_RCNN in names:
        return Found(str(file), size, ("Mask R-CNN, for things",), roles=(tasks.IDENTITY,))
    return None


def _names_in_pickle(file: Path) -> bytes:
    """The bytes that a torch file's tensor names are among; none if it is no torch file."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [e for e in archive.infolist() if e.filename.endswith("data.pkl")]
            if len(entries) != 1 or entries[0].file_size > MAX_PICKLE:
                return b""
            return archive.read(entries[0])
    except zipfile.BadZipFile:  # torch before 1.6 wrote the pickle first, the values behind it
        with file.open("rb") as opened:
            return opened.read(MAX_START)
    except (NotImplementedError, RuntimeError):  # compressed or encrypted as torch never does
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
    held = f"{len(files)} ONNX {kind}: {', '.join(file.name for file in files)}"
    size = sum(file.stat().st_size for file in files)
    return Found(str(folder), size, (held,), roles=(tasks.IDENTITY,))
