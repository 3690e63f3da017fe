"""One training run from a configuration: autoencoder, pool of clips, model, evaluation."""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..checkpoints.module_folder import load_module, save_module
from ..encoders.tiny import TinyEncoder
from ..files import atomic_path
from ..model_folder import ModelInfo
from ..models.autoencoder import PatchAutoencoder
from ..pipeline import Tora2Pipeline
from .autoencoder import reconstruction_psnr, train_autoencoder
from .config import TrainConfig, load_config
from .curves import plot_curves
from .evaluate import BindingReport, evaluate_binding
from .pool import ClipPool, encode_clips, rendered
from .spritebind import SpriteBind
from .sprites import SHAPES
from .tiny import make_adapter, make_text_encoder, make_tokenizer, make_transformer
from .trainer import LOG, Trainer, resolve_device

log = logging.getLogger(__name__)

MODEL = "model"


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
        ValueError: if the output folder holds a run of another configuration.
    """
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    _claim(output, config)
    vae = _autoencoder(config, output)
    pipeline = new_pipeline(config, vae)
    pool = _pool(config, output, pipeline)
    trainer = Trainer(config, pipeline, pool)
    resumed = trainer.load_state()
    _truncate_log(output / LOG, trainer.step if resumed else 0)
    _train(config, output, trainer)
    folder = output / MODEL
    with trainer.averaged():
        pipeline.save_pretrained(folder)
    plot_curves(output / LOG, output / "curves.png")
    return folder


def new_pipeline(config: TrainConfig, vae: PatchAutoencoder) -> Tora2Pipeline:
    """A pipeline with untrained parts; a function of the configuration's seed."""
    torch.manual_seed(config.seed)
    data = config.data
    return Tora2Pipeline(
        transformer=make_transformer(config.transformer),
        vae=vae,
        text_encoder=make_text_encoder(config.transformer),
        tokenizer=make_tokenizer(config.transformer.text_tokens),
        adapter=make_adapter(config),
        encoder=TinyEncoder(config.encoder),
        info=ModelInfo(
            width=data.size,
            height=data.size,
            frames=data.frames,
            fixed=True,
            text_tokens=config.transformer.text_tokens,
            sigma=data.sigma,
            words=SHAPES,
        ),
    )


def _train(config: TrainConfig, output: Path, trainer: Trainer) -> None:
    o = config.optimization
    heldout = SpriteBind(config.data, config.seed, "heldout")
    bar = tqdm(total=o.steps, initial=trainer.step, desc="training", unit="step", smoothing=0.05)

    def on_step(step: int, measures: dict[str, float]) -> None:
        bar.update()
        last = step == o.steps
        if o.evaluate_every and (step % o.evaluate_every == 0 or last):
            with trainer.averaged():
                report = evaluate_binding(trainer.pipeline, heldout, o.evaluate_clips, steps=12)
            measures |= {k: v for k, v in report.to_dict().items() if k not in ("clips", "seeds")}
            bar.write(f"step {step}: {_sentence(report)}")
        if step % o.log_every == 0 or "bind_accuracy" in measures:
            bar.set_postfix(loss=f"{measures['loss']:.3f}")
            with (output / LOG).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"step": step, **measures}) + "\n")

    with bar:
        trainer.train(on_step)
    trainer.save_state()


def _sentence(report: BindingReport) -> str:
    return (
        f"bind accuracy {report.bind_accuracy:.3f}, centroid error "
        f"{100 * report.centroid_error:.1f} % of the width, seen {report.seen:.3f}"
    )


def _claim(output: Path, config: TrainConfig) -> None:
    """Refuse a folder that another configuration has written to."""
    record = output / "config.json"
    values = json.loads(json.dumps(asdict(config)))
    if record.exists():
        if json.loads(record.read_text(encoding="utf-8")) != values:
            raise ValueError(
                f"{str(output)!r} holds a run of another configuration; "
                "choose another output or remove it"
            )
        return
    with atomic_path(record) as temporary:
        temporary.write_text(json.dumps(values, indent=2), encoding="utf-8")


def _autoencoder(config: TrainConfig, output: Path) -> PatchAutoencoder:
    folder = Path(config.autoencoder_from) if config.autoencoder_from else output / "vae"
    if not (folder / "model.safetensors").exists():
        if config.autoencoder_from:
            raise ValueError(f"autoencoder_from {str(folder)!r} holds no autoencoder")
        data = SpriteBind(config.data, config.seed, "train")
        with tqdm(total=config.autoencoder_training.steps, desc="autoencoder", unit="step") as bar:
            vae = train_autoencoder(
                config.autoencoder,
                config.autoencoder_training,
                data,
                config.seed,
                lambda step, loss: _advance(bar, error=f"{loss:.4f}"),
            )
        save_module(vae, folder, torch.float32)
        psnr = reconstruction_psnr(vae, SpriteBind(config.data, config.seed, "heldout"), 16)
        bar.write(f"autoencoder: {psnr:.1f} dB on held-out clips")
    vae = load_module(PatchAutoencoder, type(config.autoencoder), folder)
    return vae.to(resolve_device(config.device)).eval().requires_grad_(False)


def _pool(config: TrainConfig, output: Path, pipeline: Tora2Pipeline) -> ClipPool:
    path = Path(config.pool_from) if config.pool_from else output / "pool.pt"
    if path.exists():
        return ClipPool(**torch.load(path, weights_only=True))
    data = SpriteBind(config.data, config.seed, "train")
    parts = []
    with tqdm(total=config.pool, desc="clips", unit="clip") as bar:
        for group in rendered(data, config.data.sigma, config.pool, config.workers):
            parts.append(
                encode_clips(
                    group, pipeline.vae, pipeline.tokenizer, config.transformer.text_tokens
                )
            )
            bar.update(len(group))
    pool = ClipPool.concatenate(parts)
    with atomic_path(path) as temporary:
        torch.save(vars(pool), temporary)
    return pool


def _advance(bar: Any, **postfix: str) -> None:
    bar.update()
    bar.set_postfix(postfix)


def _truncate_log(path: Path, step: int) -> None:
    """Forget what an interrupted run logged after its last checkpoint."""
    if not path.exists():
        return
    kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= step]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
