"""One training run of the bundled model: autoencoder, pool of clips, loop, measurement."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from torch.utils.data import Subset
from tqdm import tqdm

from ....backbones import backbone_of
from ....checkpoints.module_folder import load_module, save_module
from ....data.clips import ClipBatch
from ....data.conditions import condition_clips
from ....data.growing import GrowingPool
from ....data.pool import Draw, Pool, read_pool, write_pool
from ....data.spritebind import SpriteBind
from ....data.spritebind.encoding import encode_clips, rendered
from ....device import resolve_device
from ....evaluation.binding import BindingReport, evaluate_binding, tiny_encoder
from ....geometry import COGVIDEOX
from ....models.autoencoder import PatchAutoencoder
from ....pipeline import Tora2Pipeline
from ....text import encode_prompts, token_ids
from ...autoencoder import reconstruction_psnr, train_autoencoder
from ...curves import check_plotting, plot_curves
from ...distributed import World, world
from ...drops import drop_conditions, hide_words
from ...export import whole_state
from ...folder import shared_folder
from ...journal import Journal
from ...loop import Hook, Loop
from ...objectives.denoising import Denoising, Prepared
from ...optimizer import check_muon
from .config import TrainConfig, load_config
from .decoder import train_decoder
from .model import adapter_config, new_pipeline
from .source import training_clips

log = logging.getLogger(__name__)

MODEL = "model"
PARTS: tuple[str, ...] = ("transformer", "text_encoder", "encoder", "adapter")
CHECKPOINTS = "checkpoints"
LOG = "log.jsonl"
_WATCH_STEPS = 12
_SMOOTH = 0.05


def run(path: Path | str) -> Path:
    """Train as a YAML configuration says; see `train`.

    Raises:
        ValueError: if the configuration is malformed.
    """
    return train(load_config(path))


def train(config: TrainConfig) -> Path:
    """Train a model, or go on where an earlier run of the same configuration stopped.

    Returns:
        The folder of the finished model, which `Tora2Pipeline.from_pretrained` loads.

    Raises:
        ValueError: if the configuration cannot be built, the output folder holds a run of another
            one or is in use, or a file of an earlier run is damaged.
        OSError: if something cannot be written.
    """
    check(config)
    check_plotting()
    with world(config.device) as us, shared_folder(config.output, asdict(config), us) as output:
        if config.optimization.matrices == "muon":
            check_muon(us.size)
        vae = _autoencoder(config, output, us)
        pipeline = new_pipeline(config, vae)
        _begin(config, pipeline)
        pool = _pool(config, output, pipeline, us)
        loop = make_loop(config, pipeline, pool, output / CHECKPOINTS, us)
        resumed = loop.resume()
        journal = Journal(output / LOG)
        if us.first:
            journal.cut(loop.step if resumed else 0)
        _train(config, loop, pipeline, journal)
        with loop.averaged():
            states = {name: whole_state(getattr(pipeline, name)) for name in PARTS}
        if us.first:
            finished = new_pipeline(config, vae)
            for name, state in states.items():
                getattr(finished, name).load_state_dict(state)
            _finish_decoder(config, finished)
            _save(finished, output / MODEL)
            plot_curves(journal.read(), output / "curves.png")
        us.wait()
    return output / MODEL


def check(config: TrainConfig) -> None:
    """Refuse what could not be built, before anything is written.

    Raises:
        ValueError: names the key.
    """
    adapter_config(config)
    resolve_device(config.device)
    if config.clips is not None:
        training_clips(config)


def draw_pool(config: TrainConfig) -> None:
    """Draw and encode the clips of `pool_from` where there are none yet, for runs that share them.

    Nothing is done for a pool of a run's own, or one that grows.
    """
    if config.pool_from and not config.pool_growth:
        output = Path(config.output)
        with world(config.device) as us:
            _pool(config, output, new_pipeline(config, _autoencoder(config, output, us)), us)


def make_loop(
    config: TrainConfig, pipeline: Tora2Pipeline, pool: Draw, folder: Path, us: World
) -> Loop:
    """The loop over the bundled model's parts, all of which are trained if none was given."""
    o = config.optimization
    device = us.device
    encoder = tiny_encoder(pipeline)
    parts = nn.ModuleDict(
        {
            "transformer": pipeline.transformer,
            "text_encoder": pipeline.text_encoder,
            "encoder": encoder,
            "adapter": pipeline.adapter,
        }
    ).requires_grad_(config.backbone_from is None)
    pipeline.adapter.requires_grad_(True)
    empty = token_ids(pipeline.tokenizer, [""], pipeline.info.text_tokens)

    count = us.part(o.batch, o.accumulate)
    mine = torch.arange(count)[us.mine(count)]

    def source(step: int, generator: torch.Generator) -> ClipBatch:
        drawn = hide_words(pool(step, count, generator), generator)
        return drop_conditions(drawn, config.drops, empty, generator)[mine]

    def prepare(batch: ClipBatch, generator: torch.Generator) -> Prepared:
        clips = batch.to(device)
        context = encode_prompts(pipeline.text_encoder, clips.captions)
        made = condition_clips(clips, pipeline.adapter, pipeline.text_encoder, encoder)
        told = clips.told & (clips.captions != empty.to(device)).any(1)
        return Prepared(clips.latents, context, made, clips.region, told=told)

    objective = Denoising(
        pipeline.transformer,
        prepare,
        o,
        us,
        pipeline.adapter.config.contrastive_dim,
    )
    rates = {".gate_": o.gate_learning_rate}
    return Loop(
        parts,
        source,
        objective,
        o,
        config.seed,
        us,
        folder,
        rates,
        backbone_of(pipeline.transformer).blocks(pipeline.transformer),
        reach_all=True,
        muon=_linear(parts) if o.matrices == "muon" else (),
    )


def _linear(parts: nn.ModuleDict) -> list[str]:
    """Names of the linear layers' weights that are trained."""
    return [
        f"{name}.weight"
        for name, module in parts.named_modules()
        if isinstance(module, nn.Linear) and module.weight.requires_grad
    ]


def _train(config: TrainConfig, loop: Loop, pipeline: Tora2Pipeline, journal: Journal) -> None:
    steps = config.optimization.steps
    first = loop.world.first
    bar = tqdm(
        total=steps,
        initial=loop.step,
        desc="training",
        unit="step",
        smoothing=0.05,
        disable=not first,
    )
    with bar:
        watch = _watch(config, loop, pipeline, bar)
        loop.run([watch, _write(config, journal, bar)] if first else [watch])


def _finish_decoder(config: TrainConfig, pipeline: Tora2Pipeline) -> None:
    training = config.decoder_training
    if not training.steps:
        return
    pipeline.to(resolve_device(config.device), torch.float32)
    data = SpriteBind(config.data, config.seed, "train")
    means: dict[str, float] = {}
    with tqdm(total=training.steps, desc="decoder", unit="step") as bar:

        def show(step: int, errors: dict[str, float]) -> None:
            for name, error in errors.items():
                means[name] = means.get(name, error) + _SMOOTH * (error - means.get(name, error))
            bar.update()
            bar.set_postfix({name: f"{mean:.4f}" for name, mean in means.items()})

        train_decoder(pipeline, training, data, config.seed, show, config.workers)


def _watch(config: TrainConfig, loop: Loop, pipeline: Tora2Pipeline, bar: Any) -> Hook:
    """Measure held-out clips now and then."""
    o = config.optimization
    heldout = SpriteBind(config.data, config.seed, "heldout")

    def measure(step: int, measures: dict[str, float]) -> None:
        if o.evaluate_every and (step % o.evaluate_every == 0 or step == o.steps):
            with loop.averaged():
                report = loop.using(
                    lambda: evaluate_binding(
                        pipeline, heldout, o.evaluate_clips, steps=_WATCH_STEPS
                    )
                )
            measures |= {k: v for k, v in report.to_dict().items() if isinstance(v, float)}
            if loop.world.first:
                bar.write(f"step {step}: {_sentence(report)}")

    return measure


def _write(config: TrainConfig, journal: Journal, bar: Any) -> Hook:
    """Show progress, and log now and then and whatever was measured."""

    def write(step: int, measures: dict[str, float]) -> None:
        bar.update()
        if step % config.optimization.log_every == 0 or "bind_accuracy" in measures:
            bar.set_postfix(loss=f"{measures['loss']:.3f}")
            journal.write(step, measures)

    return write


def _save(pipeline: Tora2Pipeline, folder: Path) -> None:
    try:
        pipeline.save_pretrained(folder)
    except SafetensorError as error:  # diffusers' writer loses what the system said
        raise OSError(f"cannot write {folder}: {' '.join(str(error).split())}") from error


def _sentence(report: BindingReport) -> str:
    return (
        f"bind accuracy {report.bind_accuracy:.3f}, centroid error "
        f"{100 * report.centroid_error:.1f} % of the width, seen {report.seen:.3f}"
    )


def _begin(config: TrainConfig, pipeline: Tora2Pipeline) -> None:
    """Give the parts the weights that an earlier run left."""
    folder = config.weights_from or config.backbone_from
    if folder is None:
        return
    key, names = "weights_from", PARTS
    if config.backbone_from:
        key, names = "backbone_from", tuple(name for name in PARTS if name != "adapter")
    earlier = Tora2Pipeline.from_pretrained(folder, "cpu", torch.float32)
    for name in names:
        try:
            getattr(pipeline, name).load_state_dict(getattr(earlier, name).state_dict())
        except RuntimeError as error:
            raise ValueError(
                f"{key} {folder!r} has a {name} of other sizes than this configuration's"
            ) from error


def _autoencoder(config: TrainConfig, output: Path, us: World) -> PatchAutoencoder:
    given = config.autoencoder_from
    if model := config.weights_from or config.backbone_from:
        given = str(Path(model) / "vae")
    folder = Path(given) if given else output / "vae"
    weights = folder / "model.safetensors"
    if given and not weights.exists():
        raise ValueError(f"{given!r} holds no autoencoder")
    us.have(weights, lambda: _make_autoencoder(config, folder))
    vae = load_module(PatchAutoencoder, type(config.autoencoder), folder)
    if vae.config.latent_channels != COGVIDEOX.channels:
        raise ValueError(
            f"the autoencoder in {str(folder)!r} has {vae.config.latent_channels} latent channels, "
            f"expected {COGVIDEOX.channels}"
        )
    return vae.to(resolve_device(config.device)).eval().requires_grad_(False)


def _make_autoencoder(config: TrainConfig, folder: Path) -> None:
    data, _ = training_clips(replace(config, data=config.data.whole))
    with tqdm(total=config.autoencoder_training.steps, desc="autoencoder", unit="step") as bar:

        def show(step: int, error: float) -> None:
            bar.update()
            bar.set_postfix(error=f"{error:.4f}")

        vae = train_autoencoder(
            config.autoencoder, config.autoencoder_training, data, config.seed, show
        )
    psnr = reconstruction_psnr(vae, SpriteBind(config.data.whole, config.seed, "heldout"), 16)
    bar.write(f"autoencoder: {psnr:.1f} dB on held-out clips")
    save_module(vae, folder, torch.float32)


def _pool(config: TrainConfig, output: Path, pipeline: Tora2Pipeline, us: World) -> Draw:
    """The training clips, most of which are there already if a run goes on."""
    tokens = config.transformer.text_tokens
    (data, count), sigma = training_clips(config), config.data.sigma
    known = pipeline.text_encoder.config.vocab_size

    def encoded(first: int, count: int) -> Iterator[ClipBatch]:
        some = Subset(data, range(first, first + count))
        for group in rendered(some, sigma, count, config.workers):
            yield encode_clips(group, pipeline.vae, pipeline.tokenizer, tokens)

    if config.pool_growth:
        like = next(encoded(0, 1))
        folder = Path(config.pool_from) if config.pool_from else output / "pool"
        return GrowingPool(
            folder,
            lambda first: encoded(first, count - first),
            like,
            known,
            count,
            config.pool_start,
            config.pool_growth,
            makes=us.first,
        )
    path = Path(config.pool_from) if config.pool_from else output / "pool.pt"

    def make() -> None:
        parts = []
        with tqdm(total=count, desc="clips", unit="clip") as bar:
            for part in encoded(0, count):
                parts.append(part)
                bar.update(len(part))
        write_pool(path, ClipBatch.concatenate(parts))

    us.have(path, make)
    return Pool(read_pool(path, next(encoded(0, 1)), known))
