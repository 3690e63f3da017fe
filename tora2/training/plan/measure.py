"""What the runs of a configuration cost, counted on shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...backbones import Backbone, backbone_for, backbone_named, backbone_of, backbones
from ...data.cache import FOLDER, CacheConfig, read_config
from ...data.shards import INDEX
from ...geometry import COGVIDEOX, Grid
from ...latents import decode_video, encode_video, grid_of
from ...model_folder import TINY
from ..counting import Counted, count, not_begun, shapes
from ..optimizer import check_moments
from ..recipes.adapter.config import AdapterTraining, Stage
from ..recipes.adapter.parts import part_of, train_only
from ..recipes.tiny.config import TrainConfig
from .loops import (
    Sizes,
    adapter_loop,
    adapter_model,
    drawn_clips,
    moves,
    new_autoencoder,
    read_autoencoder,
    tiny_like,
    tiny_loop,
    warm,
)
from .memory import Peaks, Weights
from .step import StepCount, bytes_of, count_step

_SEMANTIC_TOKENS, _AUGMENTATIONS = 257, 4
_PERIODS = 2  # that are counted, and one more; what lies beyond is as they are


_watching: ContextVar[Callable[[str], object]] = ContextVar("watching", default=lambda _: None)


@contextmanager
def watched(begin: Callable[[str], object]) -> Iterator[None]:
    """A context in which `begin` hears of everything that is counted, before it is."""
    token = _watching.set(begin)
    try:
        yield
    finally:
        _watching.reset(token)


def begun(what: str) -> None:
    """Tell whoever watches what is counted next."""
    _watching.get()(what)


@dataclass(frozen=True)
class Measured:
    """One stage of a run on a process.

    Attributes:
        name: of the stage; `steps` that it has.
        weights: of the model.
        peaks: of a batch and a step.
        picture: operations of encoding the flow picture of a clip.
        clips: in a batch of this process.
    """

    name: str
    steps: int
    weights: Weights
    peaks: Peaks
    picture: int
    clips: int

    @property
    def operations(self) -> dict[str, int]:
        """Of a batch, by kind."""
        own = {name: n for name, n in self.peaks.step.operations.items() if n}
        return {**own, "flow pictures": self.picture * self.clips} if self.picture else own


def sizes_of(config: AdapterTraining) -> tuple[Sizes, list[str]]:
    """The sizes of a run's parts and clips, and what had to be assumed, as sentences.

    Only headers are read of files with weights.

    Raises:
        ValueError: if a file is damaged or no known model's; OSError: if it cannot be read.
    """
    base = config.base
    path = TINY / "transformer" if base.transformer == "tiny" else Path(base.transformer)
    backbone, arguments, notes = transformer_of(path, base.transformer)
    published = backbone.published
    folder = path.parent / "vae" if base.autoencoder is None else Path(base.autoencoder)
    if base.autoencoder == "tiny":
        folder = TINY / "vae"
    elif base.autoencoder is None and (path / "vae").is_dir():
        folder = path / "vae"
    autoencoder = dict(published.autoencoder)
    if (folder / "config.json").is_file():
        autoencoder = read_autoencoder(folder)
    else:
        whose = next(iter(published.shapes))
        notes.append(f"the autoencoder is not here: {whose}'s is taken")
    if (Path(config.clips) / FOLDER).is_dir():
        cache = read_config(Path(config.clips) / FOLDER)
    else:
        cache = published_cache(config, backbone=backbone)
        size = backbone.grid.video_words(cache.frames, cache.height, cache.width)
        notes.append(f"{config.clips} has no cache: clips of {size} are taken")
    field = backbone.text_field
    arguments = {
        **next(iter(published.shapes.values())),
        **arguments,
        field: arguments.get(field, cache.text_dim),
    }
    return Sizes(arguments, autoencoder, cache, backbone.name), notes


def transformer_of(path: Path, named: str) -> tuple[Backbone, dict[str, Any], list[str]]:
    """What a transformer is, the arguments of its class, and what had to be assumed.

    Args:
        path: of its file or folder, of which only headers are read.
        named: as the configuration has it; a published model's name tells its sizes where there
            is no file.
    """
    if path.exists():
        backbone = backbone_for(path)
        arguments, _ = backbone.read(path)
        return backbone, arguments, []
    backbone, name = _published(named)
    assumed = f"{named} is not here: the sizes of {name} are taken"
    return backbone, dict(backbone.published.shapes[name]), [assumed]


def _published(path: str) -> tuple[Backbone, str]:
    """The published model that a path names, as there are no files to tell it by."""
    for backbone in backbones():
        for name in backbone.published.shapes:
            if name.lower() in path.lower():
                return backbone, name
    return backbone_named("cogvideox"), "CogVideoX-5B"


def published_cache(
    config: AdapterTraining,
    frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    backbone: Backbone | None = None,
) -> CacheConfig:
    """A cache as `precompute` makes it, for CogVideoX-5B or another backbone."""
    adapter = config.adapter_config()
    backbone = backbone or backbone_named("cogvideox")
    usual = backbone.published
    frames, height, width = frames or usual.frames, height or usual.height, width or usual.width
    _, channels, latent, rows, columns = backbone.grid.latent_shape(frames, height, width)
    return CacheConfig(
        frames=frames,
        height=height,
        width=width,
        fps=usual.fps,
        channels=channels,
        latent_frames=latent,
        rows=rows,
        columns=columns,
        scaling=1.0,
        posterior=True,
        text_tokens=usual.text_tokens,
        text_dim=adapter.word_dim,
        semantic_tokens=_SEMANTIC_TOKENS,
        semantic_dim=adapter.semantic_dim,
        face_dim=adapter.face_dim,
        object_dim=adapter.object_dim,
        augmentations=_AUGMENTATIONS,
        seed=0,
        storage="bfloat16",
        encoders={},
        flow="dense" if config.motion.source == "dense" else None,
    )


def with_frames(cache: CacheConfig, frames: int, grid: Grid = COGVIDEOX) -> CacheConfig:
    """The same cache of shorter clips."""
    return replace(cache, frames=frames, latent_frames=grid.latent_frames(frames))


class Adapter:
    """The costs of an adapter's run.

    Args:
        config: of the run; `sizes` of what it is made of.
        gpus: number of processes.

    Raises:
        ValueError: if the clips of a step cannot be shared out evenly.
    """

    def __init__(self, config: AdapterTraining, sizes: Sizes, gpus: int = 1) -> None:
        self.config, self.sizes, self.gpus = config, sizes, gpus
        check_moments(config.optimization, gpus)
        many = config.optimization.accumulate
        self.clips, rest = divmod(config.optimization.batch, many * gpus)
        if rest or not self.clips:
            raise ValueError(
                f"key 'optimization.batch' is {config.optimization.batch}, in {many} parts; "
                f"expected parts of a multiple of {gpus}, the number of GPUs"
            )

    def stages(self) -> list[Measured]:
        """What each stage costs."""
        return [self._stage(stage) for stage in self.config.stages]

    def _stage(self, stage: Stage) -> Measured:
        config, sizes = self.config, self.sizes
        o = config.stage_optimization(stage)
        weights = weights_of(config, sizes, stage)
        encoding, decoding = _autoencoding(self._autoencoder())
        drawn = drawn_bytes(sizes.cache, self.clips)
        drawing = moves(config, stage) and config.motion.source != "dense"
        return Measured(
            name=stage.name,
            steps=o.steps,
            weights=weights,
            peaks=Peaks(
                self._counted(stage),
                drawn,
                encoding.bytes if drawing else 0,
                decoding.bytes if config.validation.every else 0,
            ),
            picture=encoding.operations if drawing else 0,
            clips=self.clips,
        )

    def _autoencoder(self) -> _Autoencoder:
        base, cache = self.config.base, self.sizes.cache
        return _Autoencoder(
            tuple(sorted((k, _frozen(v)) for k, v in self.sizes.autoencoder.items())),
            (cache.frames, cache.height, cache.width),
            base.tiled,
            base.dtype != "fp32",
        )

    def _counted(self, stage: Stage) -> StepCount:
        """A step of all blocks: counted with few of them, and drawn out to all."""
        config, sizes = self.config, self.sizes
        period = config.adapter_config(layers=sizes.layers).attention_interval
        first = _PERIODS * period + sizes.layers % period
        second = first + period
        low = self.gpus > 1
        if sizes.layers <= second:
            return _counted_step(_Key(config, stage, sizes, self.clips, low))
        one, two = (
            _counted_step(_Key(config, stage, sizes.with_layers(layers), self.clips, low))
            for layers in (first, second)
        )
        return one.at(two, first, second, sizes.layers)


@dataclass(frozen=True)
class _Autoencoder:
    settings: tuple[tuple[str, Any], ...]
    size: tuple[int, int, int]
    tiled: bool
    half: bool


@lru_cache
def _autoencoding(given: _Autoencoder) -> tuple[Counted, Counted]:
    """Encoding a flow picture as a step does, and decoding a clip."""
    frames, height, width = given.size
    begun(f"the autoencoder on {Grid.video_words(frames, height, width)}")
    with shapes(), torch.no_grad():
        vae: Any = new_autoencoder({k: _thawed(v) for k, v in given.settings})
        if given.half:
            vae = _in_half(vae)
        if given.tiled and hasattr(vae, "enable_tiling"):
            vae.enable_tiling()
        video = torch.rand(1, 3, frames, height, width)
        latent = torch.rand(grid_of(vae).latent_shape(frames, height, width))
        return count(lambda: encode_video(vae, video)), count(lambda: decode_video(vae, latent))


def _in_half(module: nn.Module) -> nn.Module:
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            setattr(part, name, nn.Parameter(parameter.detach().bfloat16(), requires_grad=False))
    return module.eval()


class _Key:
    """A step by what its cost depends on."""

    def __init__(
        self, config: AdapterTraining, stage: Stage, sizes: Sizes, clips: int, low: bool
    ) -> None:
        self.config, self.stage, self.sizes = config, stage, sizes
        self.clips, self.low = clips, low
        o = config.optimization
        self._key = repr(
            (
                sizes.transformer,
                sizes.cache,
                config.preset,
                config.adapter,
                config.base.recompute,
                config.base.dtype == "fp32",
                config.motion.source,
                stage.train,
                stage.contrastive,
                moves(config, stage),
                min(2, o.accumulate),
                o.precision,
                clips,
                low,
            )
        )

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._key == other._key


@lru_cache(maxsize=256)
def _counted_step(key: _Key) -> StepCount:
    warm()
    begun(f"a step of {key.stage.name} with {key.sizes.layers} blocks")
    with shapes():
        return count_step(adapter_loop(key.config, key.stage, key.sizes, key.clips, key.low))


def weights_of(config: AdapterTraining, sizes: Sizes, stage: Stage) -> Weights:
    """How the parameters of a stage lie in memory on one GPU."""
    widths = (sizes.cache.semantic_dim, sizes.cache.face_dim, sizes.cache.object_dim)
    made = (sizes.transformer, sizes.autoencoder, widths, config.preset, config.adapter)
    key = repr((*made, config.base.dtype, stage.train))
    if key not in _weights:
        _weights[key] = _weighed(config, sizes, stage)
    o = config.optimization
    return replace(
        _weights[key],
        half=o.precision == "bf16",
        eight_bit=o.moments == "8bit",
        averaged=o.ema > 0,
    )


_weights: dict[str, Weights] = {}


def _weighed(config: AdapterTraining, sizes: Sizes, stage: Stage) -> Weights:
    with torch.device("meta"), not_begun():
        model = adapter_model(config, sizes)
        vae = list(new_autoencoder(sizes.autoencoder).parameters())
    train_only(model.adapter, stage.train)
    parts: dict[str, tuple[int, int]] = {
        "transformer": (sum(p.numel() for p in model.transformer.parameters()), 0)
    }
    frozen, around = 0, sum(p.numel() for p in model.transformer.parameters())
    for name, parameter in model.adapter.named_parameters():
        still, moving = parts.get(part_of(name), (0, 0))
        if parameter.requires_grad:
            moving += parameter.numel()
        else:
            still += parameter.numel()
            around += parameter.numel()
            frozen += parameter.numel() * parameter.element_size()
        parts[part_of(name)] = still, moving
    parts["autoencoder"] = sum(p.numel() for p in vae), 0
    held = backbone_of(model.transformer).blocks(model.transformer)
    blocks, whole, cast = (
        bytes_of(p for block in held for p in block.parameters()),
        bytes_of(model.transformer.parameters()),
        0,
    )
    if config.base.dtype == "fp8":
        eighth = bytes_of(_cast(held))
        blocks, whole = blocks - eighth // 2, whole - eighth // 2
        cast = eighth // len(held)
    return Weights(
        parts,
        frozen + whole,
        blocks,
        sizes.layers,
        around - sum(p.numel() for block in held for p in block.parameters()),
        cast,
        autoencoder=bytes_of(vae) // (1 if config.base.dtype == "fp32" else 2),
    )


def _cast(blocks: list[nn.Module]) -> list[Tensor]:
    """Weights that diffusers keeps in 8 bits: those of linear layers that are no norm's."""
    return [
        parameter
        for block in blocks
        for name, part in block.named_modules()
        if isinstance(part, nn.Linear) and "norm" not in name
        for parameter in part.parameters()
    ]


def drawn_bytes(cache: CacheConfig, clips: int) -> int:
    """Bytes of a batch."""
    with shapes(gpu=False):
        drawn = drawn_clips(cache, clips)
    values = (getattr(drawn.clips, one.name) for one in fields(drawn.clips))
    return bytes_of([drawn.noise, *(x for x in values if isinstance(x, Tensor))])


def clip_bytes(cache: CacheConfig) -> dict[str, int]:
    """Bytes of a clip's tensors in the cache, by kind."""
    with shapes(gpu=False):
        clips = drawn_clips(cache, 1).clips
    width = cache.dtype.itemsize

    def stored(*names: str) -> int:
        found = (getattr(clips, name) for name in names)
        return sum(x.numel() for x in found if x is not None) * width

    pictures = stored("semantic", "face", "object") * cache.augmentations
    return {
        "latents": stored("mean", "logvar"),
        "dense flow": stored("flow_mean", "flow_logvar"),
        "texts": stored("context", "words"),
        "pictures": pictures,
        "tracks": bytes_of([clips.points, clips.visible]),
    }


def clips_in(folder: Path | str) -> int | None:
    """How many clips a set has; None where there is none."""
    if not (Path(folder) / INDEX).is_file():
        return None
    from ...data.clipset import ClipSet

    return len(ClipSet(folder))


def tiny_stage(config: TrainConfig) -> Measured:
    """What the bundled model's run costs; it is one process's."""
    warm()
    begun("a step")
    like = tiny_like(config)
    with shapes():
        loop = tiny_loop(config, like)
        parts = {
            name: (0, sum(p.numel() for p in part.parameters()))
            for name, part in loop.parts.named_children()
        }
        step = count_step(loop)
    half = config.optimization.precision == "bf16"
    batch = config.optimization.batch
    held = [x for x in vars(like).values() if isinstance(x, Tensor)]
    return Measured(
        name="all",
        steps=config.optimization.steps,
        weights=Weights(
            parts,
            0,
            0,
            config.transformer.layers,
            half=half,
            eight_bit=config.optimization.moments == "8bit",
            averaged=config.optimization.ema > 0,
        ),
        peaks=Peaks(step, bytes_of(held) * batch),
        picture=0,
        clips=batch,
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, Mapping):
        return tuple(sorted((k, _frozen(v)) for k, v in value.items()))
    return value


def _thawed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
