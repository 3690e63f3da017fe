"""The loops of the recipes over parts and clips that have shapes and no values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import torch
from torch import nn

from ...backbones import Backbone, backbone_named, backbones
from ...checkpoints.module_folder import read_json
from ...data.cache import CacheConfig
from ...data.clips import ClipBatch
from ...data.encoded import EncodedBatch
from ...data.pool import Pool
from ...data.spritebind import SpriteBind
from ...data.spritebind.encoding import encode_clips, rendered
from ...data.spritebind.vocabulary import make_tokenizer
from ...latents import GRIDS
from ...models.adapter import Tora2Adapter
from ...models.autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from ...models.config import Tora2Config
from ...models.entities import Encoded, EntityBatch
from ...trajectory import Tracks
from ..distributed import World
from ..loop import Loop
from ..recipes.adapter.config import AdapterTraining, Stage
from ..recipes.adapter.run import Model, Run
from ..recipes.adapter.source import Drawn
from ..recipes.tiny.config import TrainConfig
from ..recipes.tiny.model import new_pipeline
from ..recipes.tiny.run import make_loop

ENTITIES, PICTURES, TRACKS, WORD_TOKENS = 3, 2, 1, 4
"""Of a clip that a step is counted with; they hardly change what it costs."""

_ALONE = World(torch.device("cpu"))


@dataclass(frozen=True)
class Sizes:
    """What a step's cost depends on, beside the configuration.

    Attributes:
        transformer: arguments of the backbone's class.
        autoencoder: class name and fields of its config.json.
        cache: of the clips.
        backbone: by name.
    """

    transformer: dict[str, Any]
    autoencoder: dict[str, Any]
    cache: CacheConfig
    backbone: str = "cogvideox"

    @property
    def model(self) -> Backbone:
        """What the transformer is."""
        return backbone_named(self.backbone)

    @property
    def layers(self) -> int:
        """The transformer's blocks."""
        return int(self.transformer["num_layers"])

    def with_layers(self, layers: int) -> Sizes:
        """The same with another number of blocks."""
        return replace(self, transformer={**self.transformer, "num_layers": layers})


class _Shapes(Run):
    """The run of a configuration without its folder, clips and weights."""

    def __init__(self, config: AdapterTraining, cache: CacheConfig, us: World) -> None:
        self.config, self.us, self.output = config, us, Path()
        self.clips = SimpleNamespace(config=cache)  # type: ignore[assignment]

    def pictured(self, paths: list[Tracks], model: Model) -> torch.Tensor:
        """Latents as an autoencoder would give, at no cost."""
        made = self.clips.config
        return torch.zeros(len(paths), made.channels, made.latent_frames, made.rows, made.columns)


def adapter_loop(
    config: AdapterTraining,
    stage: Stage,
    sizes: Sizes,
    clips: int,
    low: bool = False,
    us: World = _ALONE,
) -> Loop:
    """The loop of a stage in a process, inside `shapes`; outside them it is a real one.

    Args:
        config: of the run; batches of `clips` clips, up to two of them a step.
        stage: of the run.
        sizes: of the parts.
        clips: in a batch of the process.
        low: hold what is trained in bfloat16, as sharding gathers it, in place of float32.
        us: the processes; inside `shapes` there is one.

    The autoencoder, which draws the flow pictures one by one before the step, is left out.
    """
    many = 1 if low else min(2, config.optimization.accumulate)
    settings = replace(config.optimization, accumulate=many, compile=False)
    config = replace(config, optimization=replace(settings, batch=clips * many * us.size))
    run = _Shapes(config, sizes.cache, us)
    model = adapter_model(config, sizes, low)
    if not moves(config, stage):
        model.adapter.forward = partial(_without_motion, model.adapter)  # type: ignore[method-assign]
    drawn = drawn_clips(sizes.cache, clips)
    place = [one.name for one in config.stages].index(stage.name)
    return run.loop(place, stage, model, lambda turn, generator: drawn)  # type: ignore[arg-type]


def moves(config: AdapterTraining, stage: Stage) -> bool:
    """Whether a stage ever sees trajectories."""
    return "motion" in config.adapter_config().capabilities and stage.drops.trajectories < 1


def _without_motion(
    adapter: Tora2Adapter, motion: torch.Tensor | None, entities: EntityBatch | None
) -> Encoded:
    """What an adapter makes of clips whose trajectories are all dropped."""
    if entities is None:
        return Encoded(None, None, None, None, None, None)
    return adapter._bind(None, entities)


def adapter_model(config: AdapterTraining, sizes: Sizes, low: bool = False) -> Model:
    """The parts of a run but for the autoencoder, inside `shapes` or on the meta device."""
    made, arguments = sizes.model, sizes.transformer
    width = arguments["num_attention_heads"] * arguments["attention_head_dim"]
    widths = {
        "dim": width,
        "layers": sizes.layers,
        "word_dim": arguments[made.text_field],
        "latent_channels": made.grid.channels,
        **{name: getattr(sizes.cache, name) for name in ("semantic_dim", "face_dim", "object_dim")},
    }
    adapter = {k: v for k, v in config.adapter.items() if k not in widths}
    half = config.base.dtype != "fp32"
    with in_type(torch.bfloat16 if half else torch.float32):
        transformer: Any = made.kind(**arguments).requires_grad_(False)
    if config.base.recompute:
        transformer.enable_gradient_checkpointing()
    with in_type(torch.bfloat16 if low and half else torch.float32):
        preset = Tora2Config.preset(config.preset)
        parts = Tora2Adapter(replace(preset, **{**adapter, **widths}), made.grid)
    return Model(transformer, None, parts)


def new_autoencoder(settings: Mapping[str, Any]) -> nn.Module:
    """An autoencoder of the kind and sizes that its config.json gives."""
    values = {k: v for k, v in settings.items() if not k.startswith("_")}
    kind = settings.get("_class_name")
    if kind in GRIDS:
        made: nn.Module = getattr(diffusers, str(kind)).from_config(values)
        return made
    return PatchAutoencoder(PatchAutoencoderConfig(**values))


def drawn_clips(cache: CacheConfig, clips: int) -> Drawn:
    """What one process sees in a step, nothing dropped."""
    count, pictures, tracks = ENTITIES, PICTURES, TRACKS
    latent = (clips, cache.channels, cache.latent_frames, cache.rows, cache.columns)

    def present(*shape: int) -> torch.Tensor:
        return torch.ones(clips, *shape, dtype=torch.bool)

    dense = torch.rand(latent) if cache.flow else None
    batch = EncodedBatch(
        mean=torch.rand(latent),
        logvar=torch.rand(latent) if cache.posterior else None,
        context=torch.rand(clips, cache.text_tokens, cache.text_dim),
        words=torch.rand(clips, count, WORD_TOKENS, cache.text_dim),
        word_mask=present(count, WORD_TOKENS),
        semantic=torch.rand(clips, count, pictures, cache.semantic_tokens, cache.semantic_dim),
        face=torch.rand(clips, count, pictures, cache.face_dim),
        object=torch.rand(clips, count, pictures, cache.object_dim),
        is_face=present(count, pictures),
        picture_mask=present(count, pictures),
        points=torch.rand(clips, count, tracks, cache.frames, 2),
        visible=present(count, tracks, cache.frames),
        track_mask=present(count, tracks),
        flow_mean=dense,
        flow_logvar=dense if cache.posterior else None,
    )
    return Drawn(batch, present(), torch.rand(latent))


def tiny_like(config: TrainConfig) -> ClipBatch:
    """One encoded clip of the bundled model's run, for its shapes; outside `shapes`."""
    [first] = rendered(SpriteBind(config.data, config.seed, "train"), config.data.sigma, 1)
    vae = PatchAutoencoder(config.autoencoder).eval()
    tokens = config.transformer.text_tokens
    return encode_clips(first, vae, make_tokenizer(tokens), tokens)


def tiny_loop(config: TrainConfig, like: ClipBatch) -> Loop:
    """The bundled model's loop, inside `shapes`."""
    settings = replace(
        config.optimization, accumulate=min(2, config.optimization.accumulate), compile=False
    )
    config = replace(config, optimization=settings)
    pipeline = new_pipeline(config, PatchAutoencoder(config.autoencoder))
    batch = settings.batch
    clips = like._each(
        lambda name, x: (
            x.new_empty(x.shape) if name == "vocabulary" else x.new_empty(batch, *x.shape[1:])
        )
    )
    return make_loop(config, pipeline, Pool(clips), Path(), _ALONE)


@cache
def warm() -> None:
    """Have real tensors in what backbones remember, before shapes could get there."""
    zero = torch.zeros(1, 1, 1, 1, 1)
    for backbone in backbones():
        backbone.noised(zero, zero, torch.zeros(1, dtype=torch.int64))


class in_type:
    """A context of another default type."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def __enter__(self) -> None:
        self._before = torch.get_default_dtype()
        torch.set_default_dtype(self._dtype)

    def __exit__(self, *_: object) -> None:
        torch.set_default_dtype(self._before)


def read_autoencoder(folder: Path) -> dict[str, Any]:
    """The config.json of an autoencoder's folder."""
    return dict(read_json(folder / "config.json"))
