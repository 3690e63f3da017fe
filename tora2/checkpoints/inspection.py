"""Say in words what a file holds, what is missing, and where to get it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..fields import load_json
from ..models.config import CAPABILITIES
from . import sources
from .adapter_format import empty_adapter, is_adapter_file, read_config
from .assigning import check_plain
from .cogvideox_config import transformer_config
from .cogvideox_keys import convert_transformer, find_transformer
from .contents import contents, describe
from .folders import read_adapter_weights, read_transformer_weights
from .motion_keys import PARTS, motion_config, motion_tensors, parts_of
from .sources import BUNDLED, Source
from .split_files import find_sibling
from .weights import GGUF_ADVICE, Weights, is_gguf, read_file

BUNDLED_KEYS = ("width", "height", "frames", "fps", "words")


@dataclass(frozen=True)
class Inspection:
    """What a checkpoint holds.

    Attributes:
        path: what was looked at.
        layout: how it is stored, in words.
        holds: what is in it, a phrase each.
        sizes: the model's numbers, such as `layers`.
        dtypes: how many tensors of each dtype.
        parameters: numbers in all tensors; `bytes` what they take.
        capabilities: what an adapter read from it can do, of motion, appearance, binding.
        missing: what else is needed, a sentence each; with `sources` to get it from.
        notes: what else is good to know, a sentence each.
        metadata: texts stored in the file.
    """

    path: str
    layout: str
    holds: tuple[str, ...]
    sizes: Mapping[str, object] = field(default_factory=dict)
    dtypes: Mapping[str, int] = field(default_factory=dict)
    parameters: int = 0
    bytes: int = 0
    capabilities: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; what a model makes (width, frames, words) stands at the top too."""
        made = {key: self.sizes[key] for key in BUNDLED_KEYS if key in self.sizes}
        return {**asdict(self), **made}

    def __str__(self) -> str:
        dtypes = ", ".join(f"{name} ({count})" for name, count in self.dtypes.items())
        lines = [f"{self.path}: {', '.join(self.holds)}", f"  layout: {self.layout}"]
        if self.sizes:
            lines += ["  sizes: " + ", ".join(f"{k} {v}" for k, v in self.sizes.items())]
        if self.parameters:
            numbers = f"{self.parameters:,}, {self.bytes / 1e6:,.1f} MB"
            lines += [f"  parameters: {numbers}", f"  tensors: {dtypes}"]
        if self.capabilities:
            lines += [f"  enables: {', '.join(self.capabilities)}"]
        lines += [f"  {key}: {value}" for key, value in self.metadata.items()]
        lines += [f"  missing: {sentence}" for sentence in self.missing]
        lines += [f"  to be had: {source}" for source in self.sources]
        lines += [f"  note: {sentence}" for sentence in self.notes]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Finding:
    """What one look at the tensors adds to an inspection."""

    holds: tuple[str, ...] = ()
    sizes: Mapping[str, object] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Look at a checkpoint without loading it.

    Args:
        path: a file or folder, or `tiny` for the bundled model.

    Raises:
        ValueError: with one sentence, if the file is damaged or holds nothing that is known here.
        OSError: if the file is missing or not readable.
    """
    if path == "tiny":
        return _bundled()
    path = Path(path)
    if is_gguf(path):
        return _gguf(path)
    first = read_adapter_weights(path)
    last = read_transformer_weights(path) if path.is_dir() else first
    tensors = {**last.tensors, **first.tensors}
    adapter = _own_adapter(first) if is_adapter_file(first) else _motion(path, tensors)
    transformer = _transformer(last)
    if not adapter.holds and not transformer.holds and not contents(tensors):
        raise ValueError(f"{path} holds {describe(tensors)}, expected a CogVideoX or Tora file")
    others = _others(path, tensors)
    findings = (adapter, transformer, others, _needs(path, adapter, transformer, others))
    joined: dict[str, Any] = {
        key: tuple(item for finding in findings for item in getattr(finding, key))
        for key in ("holds", "capabilities", "missing", "sources", "notes")
    }
    return Inspection(
        path=str(path),
        layout=_layout(path, first, last),
        sizes={key: value for finding in findings for key, value in finding.sizes.items()},
        metadata={k: v for k, v in first.metadata.items() if k != "tora2_config"},
        **joined,
        **_totals(tensors),
    )


def _own_adapter(weights: Weights) -> _Finding:
    config = read_config(weights)
    sizes = config.to_dict()
    del sizes["capabilities"]
    adapter = empty_adapter(config)
    capabilities = tuple(part for part in CAPABILITIES if part in adapter.capabilities)
    return _Finding(("a Tora2 adapter",), sizes, capabilities)


def _motion(path: Path, tensors: Mapping[str, Tensor]) -> _Finding:
    motion = motion_tensors(tensors)
    parts = parts_of(motion)
    if not parts:
        return _Finding()
    notes: tuple[str, ...] = ()
    holds = ("Tora's trajectory extractor and fusers",)
    if len(parts) == 1:
        have = parts.pop()
        holds = (f"Tora's {PARTS[have]}, one half of its motion parts",)
        try:
            motion |= find_sibling(path, have)
            notes = ("the other half is beside it and is loaded with it",)
        except ValueError as error:
            return _Finding(holds, missing=(str(error),), sources=(sources.TORA_SPLIT,))
    config = motion_config(path, motion)
    names = ("dim", "layers", "feature_dim", "extractor_blocks", "latent_channels")
    sizes = {name: getattr(config, name) for name in names}
    return _Finding(holds, sizes, config.capabilities, notes=notes)


def _transformer(weights: Weights) -> _Finding:
    found = find_transformer(weights.tensors)
    if found is None:
        return _Finding()
    # Shapes are enough, and rearranging SAT's modulations would read gigabytes.
    inside = {n: t.to("meta") for n, t in weights.tensors.items() if n.startswith(found.prefix)}
    try:
        check_plain(weights.path, inside)
        config = transformer_config(convert_transformer(inside), weights.config)
    except ValueError as error:
        return _Finding((str(found),), notes=(f"it cannot be used here: {error}",))
    heads, channels = config["num_attention_heads"], config["in_channels"]
    tasks = {16: "text-to-video", 32: "image-to-video"}
    task = tasks.get(int(str(channels)), f"a task with {channels} input channels")
    sizes = {
        "channels": 64 * int(str(heads)),
        "blocks": config["num_layers"],
        "heads": heads,
        "in_channels": channels,
        "text_channels": config["text_embed_dim"],
    }
    return _Finding((f"{found}, for {task}",), sizes)


def _others(path: Path, tensors: Mapping[str, Tensor]) -> _Finding:
    """Models beside the transformer: in the same file, or in a pipeline's folders."""
    phrases = [phrase for phrase in contents(tensors) if "VAE" in phrase or "T5" in phrase]
    phrases += ["a LoRA"] if "a LoRA" in contents(tensors) else []
    folders = {
        "vae": "a VAE",
        "text_encoder": "a text encoder",
        "image_encoder": "an image encoder",
    }
    phrases += [f"{words} ({name}/)" for name, words in folders.items() if (path / name).is_dir()]
    return _Finding(tuple(phrases))


def _needs(path: Path, adapter: _Finding, transformer: _Finding, others: _Finding) -> _Finding:
    """What a video takes beside these parts, and where it is published."""
    missing: list[str] = []
    places: list[Source] = []
    if transformer.holds and not adapter.holds:
        missing.append("trajectory control needs Tora's motion parts")
        places += [sources.TORA_SPLIT, sources.TORA_SAT]
    if adapter.holds and not transformer.holds:
        missing.append("the frozen CogVideoX transformer that the adapter stands beside")
        places += [sources.BASE, sources.BASE_I2V, sources.TORA_DIFFUSERS]
    if not any("VAE" in phrase for phrase in others.holds):
        missing.append("a video VAE")
        places += [sources.VAE, sources.VAE_FILE]
    if not any("text encoder" in phrase for phrase in others.holds):
        missing.append("a text encoder")
        places += [sources.TEXT_ENCODER, sources.TEXT_ENCODER_FILE]
    without = () if "appearance" in adapter.capabilities else (sources.NO_TORA2,)
    notes = (*without, *sources.terms(places))
    return _Finding(missing=tuple(missing), sources=tuple(places), notes=notes)


def _totals(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())
    return {
        "dtypes": dict(dtypes.most_common()),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "bytes": sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()),
    }


def _layout(path: Path, first: Weights, last: Weights) -> str:
    kind = {"safetensors": "safetensors", "torch": "torch zip, read weights-only"}[last.format]
    if is_adapter_file(first):
        return f"Tora2's own {kind}, version {first.metadata['version']}"
    return f"folder of {kind} files" if path.is_dir() else f"single {kind} file"


def _gguf(path: Path) -> Inspection:
    return Inspection(
        path=str(path),
        layout="GGUF",
        holds=("quantised weights",),
        bytes=path.stat().st_size,
        notes=(GGUF_ADVICE, sources.NO_TORA2),
    )


def _bundled() -> Inspection:
    """The tiny model that ships with the package."""
    index = BUNDLED / "model_index.json"
    if not index.is_file():
        raise ValueError(f"the bundled model is not installed, expected it at {BUNDLED}")
    content = load_json(index.read_bytes(), str(index), 64 * 1024)
    if not isinstance(content, Mapping):
        raise ValueError(f"{index} is no JSON object, expected the bundled model's index")
    adapter = _own_adapter(read_adapter_weights(BUNDLED))
    files = sorted(BUNDLED.rglob("*.safetensors"))
    tensors = {
        f"{file.relative_to(BUNDLED)}:{name}": tensor
        for file in files
        for name, tensor in read_file(file).tensors.items()
    }
    return Inspection(
        path="tiny",
        layout="the bundled model, safetensors",
        holds=tuple(str(file.relative_to(BUNDLED)) for file in files),
        sizes={name: content[name] for name in BUNDLED_KEYS if name in content},
        capabilities=adapter.capabilities,
        notes=("trained by this repository on its own data; its licence is the repository's",),
        **_totals(tensors),
    )
