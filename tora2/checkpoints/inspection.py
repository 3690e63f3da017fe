"""Say in words what a file holds, what is missing, and where to get it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..fields import load_json_file, plain
from . import sources
from .adapter_format import check_counts, is_adapter_file, read_config
from .assigning import check_plain
from .cogvideox_config import HEAD_DIM, transformer_config
from .cogvideox_keys import convert_transformer, find_transformer
from .families import LATTE, WAN, Family
from .folders import read_adapter_weights, read_transformer_weights
from .motion_keys import motion_config, motion_tensors
from .recognition import Holding, Kind, recognise, shapes_of
from .sources import BUNDLED, Source
from .split_files import find_sibling
from .weights import GGUF_ADVICE, Weights, is_gguf, read_file
from .words import complaint, describe, phrase

MAX_INDEX = 64 * 1024
MAX_NOTES, MAX_NOTE = 32, 1000
BUNDLED_KEYS = ("width", "height", "frames", "fps", "words")


_ORDER = (
    Kind.ADAPTER,
    Kind.MOTION,
    Kind.APPEARANCE,
    Kind.TRANSFORMER,
    Kind.WAN,
    Kind.LATTE,
    Kind.TEXT_ENCODER,
    Kind.VAE,
    Kind.LORA,
    Kind.SEMANTIC,
)
_FAMILIES = {Kind.WAN: WAN, Kind.LATTE: LATTE}


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
        holdings: what is in it, as values.
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
    holdings: tuple[Holding, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; what a model makes (width, frames, words) stands at the top too."""
        made = {key: self.sizes[key] for key in BUNDLED_KEYS if key in self.sizes}
        words = asdict(replace(self, holdings=()))
        del words["holdings"]
        return {**words, **made}

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

    holdings: tuple[Holding, ...] = ()
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
    try:
        holdings = recognise(shapes_of(tensors), is_adapter_file(first))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not set(_kinds(holdings)) - {Kind.SEMANTIC}:
        raise ValueError(f"{path} holds {describe(tensors)}, expected a CogVideoX or Tora file")
    known = sorted(holdings, key=lambda holding: _ORDER.index(holding.kind))
    findings = [_finding(path, holding, known, first, last) for holding in known]
    findings += [_folders(path)]
    findings += [_needs(findings)]
    joined: dict[str, Any] = {
        key: tuple(item for finding in findings for item in getattr(finding, key))
        for key in ("holdings", "capabilities", "missing", "sources", "notes")
    }
    return Inspection(
        path=str(path),
        layout=_layout(path, first, last),
        holds=tuple(map(phrase, joined["holdings"])),
        sizes={key: value for finding in findings for key, value in finding.sizes.items()},
        metadata=_texts(first.metadata),
        **joined,
        **_totals(tensors),
    )


def _finding(
    path: Path, holding: Holding, beside: Iterable[Holding], first: Weights, last: Weights
) -> _Finding:
    """More of one holding, where there is more to tell."""
    own = Kind.ADAPTER in _kinds(beside)
    if holding.kind is Kind.ADAPTER:
        return _own_adapter(first)
    if own and holding.kind in (Kind.MOTION, Kind.APPEARANCE):
        return _Finding()  # parts of the adapter
    if holding.kind is Kind.MOTION:
        return _motion(path, holding, {**last.tensors, **first.tensors})
    if holding.kind is Kind.TRANSFORMER:
        return _transformer(last, holding)
    if holding.kind in _FAMILIES:
        return _other(last, holding, _FAMILIES[holding.kind])
    return _Finding((holding,) if holding.kind is not Kind.SEMANTIC else ())


def _kinds(holdings: Iterable[Holding]) -> list[Kind]:
    return [holding.kind for holding in holdings]


def _own_adapter(weights: Weights) -> _Finding:
    config = read_config(weights)
    check_counts(config, weights)
    sizes = config.to_dict()
    del sizes["capabilities"]
    return _Finding((Holding(Kind.ADAPTER),), sizes, config.enabled)


def _motion(path: Path, holding: Holding, tensors: Mapping[str, Tensor]) -> _Finding:
    motion = motion_tensors(tensors)
    notes: tuple[str, ...] = ()
    if len(holding.parts) == 1:
        try:
            motion |= find_sibling(path, next(iter(holding.parts)))
            notes = ("the other half is beside it and is loaded with it",)
        except ValueError as error:
            half = replace(holding, trouble=str(error))
            return _Finding((half,), missing=(complaint(half),), sources=(sources.TORA_SPLIT,))
    config = motion_config(path, motion)
    names = ("dim", "layers", "feature_dim", "extractor_blocks", "latent_channels")
    sizes = {name: getattr(config, name) for name in names}
    return _Finding((holding,), sizes, config.capabilities, notes=notes)


def _transformer(weights: Weights, holding: Holding) -> _Finding:
    found = find_transformer(weights.tensors)
    if found is None:
        return _Finding()
    # Shapes are enough, and rearranging SAT's modulations would read gigabytes.
    inside = {n: t.to("meta") for n, t in weights.tensors.items() if n.startswith(found.prefix)}
    try:
        check_plain(weights.path, inside)
        config = transformer_config(convert_transformer(inside), weights.config)
    except ValueError as error:
        unfit = replace(holding, trouble=str(error))
        return _Finding((unfit,), notes=(complaint(unfit),))
    heads = int(str(config["num_attention_heads"]))
    sizes = {
        "channels": HEAD_DIM * heads,
        "blocks": config["num_layers"],
        "heads": heads,
        "in_channels": config["in_channels"],
        "text_channels": config["text_embed_dim"],
    }
    return _Finding((holding,), sizes)


def _other(weights: Weights, holding: Holding, family: Family) -> _Finding:
    """The sizes of another model's transformer."""
    try:
        config, _ = family.read(weights)
    except ValueError as error:
        unfit = replace(holding, trouble=str(error))
        return _Finding((unfit,), notes=(complaint(unfit),))
    heads, width = (int(str(config[x])) for x in ("num_attention_heads", "attention_head_dim"))
    sizes = {
        "channels": heads * width,
        "blocks": config["num_layers"],
        "heads": heads,
        "in_channels": config["in_channels"],
        "text_channels": config.get("text_dim", config.get("caption_channels")),
    }
    return _Finding((holding,), sizes)


def _folders(path: Path) -> _Finding:
    """Models in a pipeline's other folders, which are not looked into."""
    places = (
        ("vae/", Kind.VAE),
        ("text_encoder/", Kind.TEXT_ENCODER),
        ("image_encoder/", Kind.IMAGE_ENCODER),
    )
    return _Finding(tuple(Holding(kind, name) for name, kind in places if (path / name).is_dir()))


def _needs(findings: Iterable[_Finding]) -> _Finding:
    """What a video takes beside these parts, and where it is published."""
    there = {kind for finding in findings for kind in _kinds(finding.holdings)}
    able = {part for finding in findings for part in finding.capabilities}
    adapter = bool(there & {Kind.ADAPTER, Kind.MOTION})
    missing: list[str] = []
    places: list[Source] = []
    other = there & set(_FAMILIES)
    if other and not adapter:
        missing.append("an adapter trained for it: none is published, `train` makes one")
    if other:
        return _Finding(missing=tuple(missing))
    if Kind.TRANSFORMER in there and not adapter:
        missing.append("trajectory control needs Tora's motion parts")
        places += [sources.TORA_SPLIT, sources.TORA_SAT]
    if adapter and Kind.TRANSFORMER not in there:
        missing.append("the frozen CogVideoX transformer that the adapter stands beside")
        places += [sources.BASE, sources.BASE_I2V, sources.TORA_DIFFUSERS]
    if Kind.VAE not in there:
        missing.append("a video VAE")
        places += [sources.VAE, sources.VAE_FILE]
    if Kind.TEXT_ENCODER not in there:
        missing.append("a text encoder")
        places += [sources.TEXT_ENCODER, sources.TEXT_ENCODER_FILE]
    without = () if "appearance" in able else (sources.NO_TORA2,)
    notes = (*without, *sources.terms(places))
    return _Finding(missing=tuple(missing), sources=tuple(places), notes=notes)


def _texts(metadata: Mapping[str, str]) -> dict[str, str]:
    """The texts of a file, a line each."""
    kept = [(key, text) for key, text in metadata.items() if key != "tora2_config"]
    return {plain(key): plain(text, MAX_NOTE) for key, text in kept[:MAX_NOTES]}


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
    content = load_json_file(index, MAX_INDEX)
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
